import { Readable } from "node:stream";
import { auditExportFormats } from "@codespar/core";
import { z } from "zod";
import type { App } from "../../app-types.ts";
import { begun } from "../../http/begun.ts";
import { goneSignal } from "../../http/gone.ts";
import { responses } from "../../http/responses.ts";
import type { StorageOf } from "../../http/scope.ts";
import { filter } from "./shapes.ts";

/** `/api/audit/export` */
export function exportRoute(app: App, storageOf: StorageOf): void {
  app.get(
    "/api/audit/export",
    {
      // A HEAD would seal an entry of an export that nobody has got.
      exposeHeadRoute: false,
      config: {
        scope: "audit:read",
        documentedHeaders: ["x-org-id"],
        answerHeaders: ["Content-Disposition", "X-Audit-Checkpoint", "X-Audit-Warning"],
      },
      schema: {
        tags: ["audit"],
        operationId: "exportAudit",
        summary: "Writes the trail out, bound to one checkpoint",
        description:
          "`bundle` is a tar of all that a stranger needs to verify the trail without this software. `jsonl` and `csv` take the filters of a listing. The export is itself an entry. An answer that breaks off in the middle isn't complete: the connection then closes without the end that HTTP marks.",
        querystring: z.strictObject({
          format: z.enum(auditExportFormats),
          ...filter,
        }),
        response: responses(
          {
            200: [
              "The file. `x-audit-checkpoint` holds the checkpoint as base64; each `x-audit-warning` says what the export can't prove.",
              {
                "application/x-tar": z.unknown(),
                "application/jsonl": z.string(),
                "text/csv": z.string(),
              },
            ],
          },
          409,
        ),
      },
    },
    async (request, reply) => {
      const signal = goneSignal(reply);
      const { checkpoint, warnings, ...file } = await storageOf(request).audit.export({
        ...request.query,
        signal,
      });
      const content = await begun(file.content);
      if (checkpoint !== null)
        void reply.header("x-audit-checkpoint", Buffer.from(checkpoint.note).toString("base64"));
      if (warnings.length > 0) void reply.header("x-audit-warning", warnings.map(printable));
      return reply
        .header("content-disposition", `attachment; filename="${file.fileName}"`)
        .type(file.mediaType)
        .send(Readable.from(content, { objectMode: false }));
    },
  );
}

/** What a header can carry. */
function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, "?");
}
