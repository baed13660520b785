import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type RunningServer, startServer } from "@codespar/server";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createTestDatabase } from "../../../../tooling/postgres.ts";
import { removeScratch, scratchFolder } from "../../../../tooling/secrets.ts";
import { migratedTemplate } from "../support/backends.ts";
import { send } from "../support/http.ts";

let folder = "";
let server: RunningServer | undefined;

beforeEach(async () => {
  folder = await scratchFolder("checkpoints");
  vi.stubEnv("CODESPAR_STORAGE_DIR", join(folder, "files"));
  vi.stubEnv("DATABASE_URL", undefined);
  vi.stubEnv("CODESPAR_ENCRYPTION_KEY", undefined);
});

afterEach(async () => {
  await server?.close();
  server = undefined;
  await removeScratch(folder);
});

const start = async (checkpoints: object): Promise<string> => {
  server = await startServer({
    config: { port: 0, logLevel: "silent", checkpoints },
    signals: false,
    say: () => undefined,
  });
  return server.url;
};

const entry = { actor: { type: "user", id: "ada" }, action: "test.kept", outcome: "success" };
const append = { method: "POST", path: "/api/audit", body: entry } as const;

async function healthOf(url: string) {
  return (await send(url, { path: "/health" })).json as {
    readonly audit: Record<string, unknown>;
    readonly storage: { readonly warnings: readonly string[] };
  };
}

it("signs what was appended, hands it to the anchor, and tells in health what waits", async () => {
  const anchor = join(folder, "anchor");
  const url = await start({ everyEntries: 1, anchors: [{ directory: anchor }] });
  expect((await send(url, append)).status).toBe(201);
  // The file comes before the account of it.
  while ((await healthOf(url)).audit["unanchoredEntries"] !== 0) await new Promise(setImmediate);
  expect((await healthOf(url)).audit).toEqual({
    signing: true,
    unsignedEntries: 0,
    unsignedSeconds: 0,
    unanchoredEntries: 0,
    unanchoredSeconds: 0,
  });
  const [trail = ""] = await readdir(anchor);
  const [file = ""] = await readdir(join(anchor, trail));
  const kept = await readFile(join(anchor, trail, file), "utf8");
  const { json } = await send(url, { path: "/api/audit?action=audit.key_created" });
  expect(json).toMatchObject({ items: [{ actor: { type: "system", id: "checkpoints" } }] });
  expect(kept).toMatch(new RegExp(`^codespar/log/${trail}\n2\n`));
});

it("serves a database without an encryption key, and says in health what that means", async () => {
  await using database = await createTestDatabase({ template: migratedTemplate });
  vi.stubEnv("DATABASE_URL", database.url);
  const url = await start({ everyEntries: 1 });
  expect((await send(url, append)).status).toBe(201);
  while ((await healthOf(url)).audit["signing"] !== false) await new Promise(setImmediate);
  const { audit, storage } = await healthOf(url);
  expect(audit).toMatchObject({ signing: false, unsignedEntries: 0, unanchoredEntries: null });
  expect(storage.warnings).toContainEqual(expect.stringMatching(/^Checkpoints are not signed/));
  await server?.close();
  server = undefined;
});
