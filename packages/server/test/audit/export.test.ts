import { execFile } from "node:child_process";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { buffer } from "node:stream/consumers";
import { type AuditExport, type Storage, StorageError } from "@codespar/core";
import { afterEach, expect, it } from "vitest";
import { files } from "../support/backends.ts";
import { expectProblem } from "../support/expect.ts";
import { describeServed, freshId, serve, serveOn, type TestServer } from "../support/server.ts";
import { entry, signedTrail, trailOf } from "../support/trail.ts";

/** Downloads as bytes. */
async function download(server: TestServer, path: string, org = "default") {
  const outgoing = request(`${server.origin}/api/audit/export${path}`, {
    headers: { "x-org-id": org },
    agent: false,
  });
  outgoing.end();
  const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
  return incoming;
}

describeServed("an export", (server) => {
  it("as JSON Lines has an entry a line, oldest first, and names its checkpoint", async () => {
    const { get } = await signedTrail(server, 4);
    const answer = await get("/export?format=jsonl");
    expect(answer.status).toBe(200);
    const { headers, text } = answer;
    expect(headers["content-type"]).toMatch(/^application\/jsonl/);
    expect(headers["content-disposition"]).toMatch(
      /^attachment; filename="audit-[\w.-]+-5.jsonl"$/,
    );
    expect(headers["x-audit-warning"]).toBeUndefined();
    const note = Buffer.from(String(headers["x-audit-checkpoint"]), "base64").toString();
    expect(note).toBe((await get("/checkpoint")).text);
    const { items } = (await get("?order=asc")).json as { items: { action: string }[] };
    expect(
      text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual(items);
    expect(items.at(-1)?.action).toBe("audit.exported");
  });

  it("as CSV is for spreadsheets, and takes the filters of a listing", async () => {
    const org = freshId("org");
    const { get, post } = trailOf(server, org);
    await post("", entry);
    await post("", { ...entry, outcome: "denied", risk: "high", project: "=1+1" });
    const answer = await get("/export?format=csv&outcome=denied&risk=high");
    expect(answer.headers["content-type"]).toMatch(/^text\/csv/);
    const [head = "", ...rows] = answer.text.trimEnd().split("\r\n");
    expect(head.split(",")).toContain("outcome");
    expect(rows).toHaveLength(1);
    expect(rows[0]).toContain("denied");
    expect(rows[0]).not.toMatch(/(^|,)"?=/);
  });

  it("as a bundle is a tar of the whole trail", async () => {
    const org = freshId("org");
    const { get, post } = trailOf(server, org);
    await post("", entry);
    const incoming = await download(server, "?format=bundle", org);
    expect(incoming.headers).toMatchObject({
      "content-type": "application/x-tar",
      "content-disposition": expect.stringMatching(/^attachment; filename="audit-[\w.-]+\.tar"$/),
    });
    const tar = await buffer(incoming);
    const names = await new Promise<string>((resolve, reject) => {
      const listing = execFile("tar", ["-tf", "-"], (error, out) =>
        error === null ? resolve(out) : reject(error),
      );
      listing.stdin?.end(tar);
    });
    expect(names).toContain("entries/");
    expect(names).toContain("README");
    const { size } = (await get("/verify")).json as { size: number };
    expectProblem(await get("/export?format=bundle&outcome=denied"), 400, "VALIDATION");
    expect((await get("/verify")).json).toMatchObject({ size });
  });

  it.each(["", "?format=xml", "?format=csv&format=jsonl", "?format=jsonl&limit=5"])(
    "is refused with the query %j, and leaves no entry",
    async (query) => {
      const { get } = trailOf(server, freshId("org"));
      expectProblem(await get(`/export${query}`), 400, "VALIDATION");
      expect((await get("/verify")).json).toMatchObject({ size: 0 });
    },
  );
});

let running: TestServer | undefined;
afterEach(async () => {
  await running?.close();
  running = undefined;
});

/** A server whose exports have this content. */
async function exporting(content: () => AsyncGenerator<Uint8Array>): Promise<TestServer> {
  const made: AuditExport = {
    format: "jsonl",
    mediaType: "application/jsonl",
    fileName: "audit.jsonl",
    checkpoint: null,
    warnings: ["No checkpoint — none at all."],
    content: { [Symbol.asyncIterator]: content },
  };
  const kept = await serveOn(files);
  const audit = { ...kept.storage.audit, export: async () => made };
  const view = { ...kept.storage, audit } as Storage;
  const storage = { ...kept.storage, forOrg: () => ({ ...view, as: () => view }) } as Storage;
  const server = await serve(storage);
  running = {
    ...server,
    close: async () => {
      await server.close();
      await kept.close();
    },
  };
  return running;
}

it("says in a header what an export can't prove", async () => {
  const server = await exporting(async function* () {
    yield Buffer.from("{}\n");
  });
  const { headers } = await server.call({ path: "/api/audit/export?format=jsonl" });
  expect(headers["x-audit-warning"]).toBe("No checkpoint ? none at all.");
});

it("breaks the connection when an export fails in the middle", async () => {
  const server = await exporting(async function* () {
    yield Buffer.alloc(100_000, "x");
    throw new StorageError("CORRUPTION", "a byte flipped");
  });
  const incoming = await download(server, "?format=jsonl");
  expect(incoming.statusCode).toBe(200);
  await expect(buffer(incoming)).rejects.toThrow("aborted");
  expect(incoming.complete).toBe(false);
});

it("answers with the problem when an export fails before anything was sent", async () => {
  const server = await exporting(async function* () {
    yield* [];
    throw new StorageError("UNAVAILABLE", "the database restarts: try again");
  });
  const answer = await server.call({ path: "/api/audit/export?format=jsonl" });
  expectProblem(answer, 503, "UNAVAILABLE");
  expect(answer.headers["content-disposition"]).toBeUndefined();
});

it("reads no faster than the caller, and ends when the caller goes away", async () => {
  const chunk = Buffer.alloc(64 * 1024, "x");
  let made = 0;
  let ended: () => void = () => undefined;
  const over = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const server = await exporting(async function* () {
    try {
      for (;;) {
        made += 1;
        yield chunk;
        await new Promise(setImmediate);
      }
    } finally {
      ended();
    }
  });
  const incoming = await download(server, "?format=jsonl");
  incoming.pause();
  // Nothing more is made once the buffers on the way are full.
  for (let before = -1; before !== made; ) {
    before = made;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  expect(made * chunk.length).toBeLessThan(64 * 1024 * 1024);
  incoming.destroy();
  await over;
});
