import type { AuditEntry } from "@codespar/core";
import { expect, it } from "vitest";
import { backends } from "../support/backends.ts";
import { connect, type EventsClient } from "../support/events.ts";
import { expectProblem } from "../support/expect.ts";
import { describeServed, freshId, serveOn } from "../support/server.ts";

const entry = { actor: { type: "user", id: "u-1" }, action: "deploy.started" } as const;

async function seqsOf(client: EventsClient, count: number): Promise<number[]> {
  const seqs: number[] = [];
  while (seqs.length < count) {
    const event = await client.next();
    if (event === null) throw new Error(`the stream ended after ${seqs}`);
    if (event.event !== "ready") seqs.push(Number(event.id));
  }
  return seqs;
}

describeServed("the event stream", (server) => {
  const { call } = server;
  const trailOf = (org: string) => server.storage.forOrg(org).audit;

  it("begins with where it stands, and gives each entry as it is sealed", async () => {
    const org = freshId("org");
    await trailOf(org).append(entry);
    await using client = await connect(server.origin, { headers: { "x-org-id": org } });
    expect(client.incoming.statusCode).toBe(200);
    expect(client.incoming.headers).toMatchObject({
      "content-type": "text/event-stream",
      "cache-control": "no-store, no-transform",
      "x-accel-buffering": "no",
      "x-content-type-options": "nosniff",
      "x-request-id": expect.any(String),
    });
    expect(client.incoming.headers["content-encoding"]).toBeUndefined();
    expect(await client.next()).toEqual({ id: "0", event: "ready", data: '{"after":0}' });
    const details = { lines: "a\nb\r\nc\u2028d", odd: "\u0000\ud800" };
    const sealed = await trailOf(org).append({ ...entry, details });
    const event = await client.next();
    expect(event).toMatchObject({ id: "1", event: "audit" });
    expect(JSON.parse(event?.data ?? "")).toEqual(sealed);
  });

  it("resumes behind the last event, by header or query, the header winning", async () => {
    const org = freshId("org");
    const sealed: AuditEntry[] = [];
    for (let i = 0; i < 5; i += 1) sealed.push(await trailOf(org).append(entry));
    const from = async (query: string, headers: Record<string, string> = {}) => {
      await using client = await connect(server.origin, {
        query,
        headers: { "x-org-id": org, ...headers },
      });
      await client.next();
      const event = await client.next();
      return JSON.parse(event?.data ?? "") as AuditEntry;
    };
    expect(await from("?lastEventId=-1")).toEqual(sealed[0]);
    expect(await from("", { "last-event-id": "1" })).toEqual(sealed[2]);
    expect(await from("?lastEventId=0", { "last-event-id": "3" })).toEqual(sealed[4]);
  });

  it("gives what is left of an entry whose details were erased", async () => {
    const org = freshId("org");
    const { seq } = await trailOf(org).append({ ...entry, details: { mail: "ada@example.org" } });
    await trailOf(org).redact(seq, "asked for");
    await using client = await connect(server.origin, {
      query: "?lastEventId=-1",
      headers: { "x-org-id": org },
    });
    await client.next();
    const event = JSON.parse((await client.next())?.data ?? "") as AuditEntry;
    expect(event).toMatchObject({ seq, details: null, redacted: true });
    const saysSo = JSON.parse((await client.next())?.data ?? "") as AuditEntry;
    expect(saysSo).toMatchObject({ action: "audit.redacted", redacted: false });
  });

  it("keeps its place although nothing has come yet, on an empty trail too", async () => {
    const org = freshId("org");
    const headers = { "x-org-id": org };
    const first = await connect(server.origin, { headers });
    const ready = await first.next();
    await first[Symbol.asyncDispose]();
    const sealed = await trailOf(org).append(entry);
    await using again = await connect(server.origin, {
      headers: { ...headers, "last-event-id": ready?.id ?? "" },
    });
    await again.next();
    expect(JSON.parse((await again.next())?.data ?? "")).toEqual(sealed);
  });

  it.each(["x", "-2", "1.5", "01", "1e3", "99999999999999999999", "1, 2"])(
    "refuses the last event %j",
    async (id) => {
      const path = "/api/events";
      expectProblem(await call({ path, headers: { "last-event-id": id } }), 400, "VALIDATION");
      const query = `?lastEventId=${encodeURIComponent(id)}`;
      expectProblem(await call({ path: path + query }), 400, "VALIDATION");
    },
  );

  it("refuses an event that the trail hasn't reached", async () => {
    const org = freshId("org");
    await trailOf(org).append(entry);
    const headers = { "x-org-id": org, "last-event-id": "1" };
    const { detail } = expectProblem(
      await call({ path: "/api/events", headers }),
      400,
      "VALIDATION",
    );
    expect(detail).toContain("another trail");
  });

  it("gives nothing of another organisation", async () => {
    const [org, other] = [freshId("org"), freshId("org")];
    await using client = await connect(server.origin, { headers: { "x-org-id": org } });
    await client.next();
    for (let i = 0; i < 20; i += 1) {
      await trailOf(other).append(entry);
      await trailOf(org).append({ ...entry, project: org });
    }
    for (let seq = 0; seq < 20; seq += 1) {
      const event = await client.next();
      expect(event?.id).toBe(String(seq));
      expect(JSON.parse(event?.data ?? "")).toMatchObject({ project: org });
    }
  });

  it("has no HEAD, which would wait for ever", async () => {
    expect((await call({ method: "HEAD", path: "/api/events" })).status).toBe(405);
  });
});

it.each(backends)(
  "loses and doubles nothing while writers are at work ($name)",
  async (backend) => {
    await using server = await serveOn(backend).then((served) => ({
      ...served,
      [Symbol.asyncDispose]: served.close,
    }));
    const total = 120;
    const write = Promise.all(
      Array.from({ length: total }, (_, n) =>
        server.storage.audit.append({ ...entry, details: n }),
      ),
    );
    const received: number[] = [];
    for (let taken = 1; received.length < total; taken = (taken % 7) + 1) {
      const last = String(received.at(-1) ?? -1);
      await using client = await connect(server.origin, { headers: { "last-event-id": last } });
      received.push(...(await seqsOf(client, Math.min(taken, total - received.length))));
    }
    await write;
    expect(received).toEqual(Array.from({ length: total }, (_, seq) => seq));
  },
);
