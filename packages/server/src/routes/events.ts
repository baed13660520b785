import type { OutgoingHttpHeaders } from "node:http";
import { type Storage, StorageError } from "@codespar/core";
import { z } from "zod";
import type { App } from "../app-types.ts";
import { EventStreams } from "../events/event-streams.ts";
import { follow, preamble } from "../events/follow.ts";
import type { EventLimits } from "../events/limits.ts";
import { responses } from "../http/responses.ts";
import type { StorageOf } from "../http/scope.ts";

/** `/api/events` */
export function eventRoute(app: App, storageOf: StorageOf, limits: EventLimits): void {
  const streams = new EventStreams(limits);
  // Requests in flight are waited for at the end, and these never finish by themselves.
  app.addHook("preClose", (done) => {
    streams.close();
    done();
  });

  app.get(
    "/api/events",
    {
      exposeHeadRoute: false,
      config: { scope: "audit:read", documentedHeaders: ["x-org-id", "last-event-id"] },
      schema: {
        tags: ["audit"],
        operationId: "streamEvents",
        summary: "The trail's entries as they are sealed, as server-sent events",
        description:
          "Each event has `event: audit`, the sequence number as `id`, and the entry as JSON on one `data` line. It begins with what is sealed after the connection; with `Last-Event-ID` it resumes behind that one, on any instance, without a gap or an entry twice. `-1` begins at the trail's beginning. A comment every 15 seconds keeps the connection open.",
        querystring: z.strictObject({
          lastEventId: z
            .string()
            .exactOptional()
            .describe("For clients that can't set the header, which wins."),
        }),
        response: responses({
          200: ["The stream; it has no end of its own.", { "text/event-stream": z.string() }],
        }),
      },
    },
    async (request, reply) => {
      const { audit, orgId } = storageOf(request);
      streams.admit(orgId, reply.raw);
      const after = await startOf(
        audit,
        lastEventId(request.headers["last-event-id"] ?? request.query.lastEventId),
      );
      void reply.hijack();
      const stream = streams.begin(reply.raw, reply.getHeaders() as OutgoingHttpHeaders);
      await stream.send(preamble(after));
      await follow(stream, audit, after).catch((error: unknown) => {
        request.log.error({ reqId: request.id, err: error }, "event stream broken off");
      });
      stream.end();
      return reply;
    },
  );
}

/**
 * The sequence number behind which the stream begins.
 *
 * @throws StorageError `VALIDATION` for one that the trail hasn't reached: it is of another trail, whose entries would be waited for in vain
 */
async function startOf(audit: Storage["audit"], given: number | undefined): Promise<number> {
  const { items } = await audit.list({ limit: 1 });
  const newest = items[0]?.seq ?? -1;
  if (given === undefined || given <= newest) return given ?? newest;
  throw new StorageError(
    "VALIDATION",
    `Last-Event-ID ${given} is beyond the trail's last entry, ${newest}: it is of another trail. Connect without one.`,
  );
}

/** @throws StorageError `VALIDATION` */
function lastEventId(given: string | string[] | undefined): number | undefined {
  if (given === undefined || given === "") return undefined;
  if (typeof given === "string" && /^(?:-1|0|[1-9]\d{0,14})$/.test(given)) return Number(given);
  throw new StorageError(
    "VALIDATION",
    "Last-Event-ID must be the id of an event of this stream, or -1 for the trail's beginning.",
  );
}
