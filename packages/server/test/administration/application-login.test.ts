import { createStorage, KeyRing, Secret } from "@codespar/core";
import { type RunningServer, startServer } from "@codespar/server";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import {
  createLogin,
  createTestDatabase,
  type TestDatabase,
  type TestLogin,
} from "../../../../tooling/postgres.ts";
import { testKey, testSecret } from "../../../../tooling/secrets.ts";
import { migratedTemplate } from "../support/backends.ts";
import { bearer } from "../support/callers.ts";
import { bodyOf, expectProblem, healthOnce } from "../support/expect.ts";
import { send } from "../support/http.ts";

/* A server whose login is what docs/reference/postgres.md recommends. */

const adminKey = testKey();
const [present, gone] = [testKey(), testKey()];
const { keyIds } = KeyRing.parse(`${present},${gone}`);

let database: TestDatabase;
let login: TestLogin;
let server: RunningServer | undefined;

/** Of `acme` and `other`, the secrets of the latter under a key that is gone; their trails aren't signed. */
async function fill(): Promise<void> {
  for (const [orgId, encryptionKey] of [
    ["acme", present],
    ["other", `${gone},${present}`],
  ] as const) {
    await using storage = createStorage(orgId, { databaseUrl: database.url, encryptionKey });
    await storage.channelConfigs.set("sentry", { credentials: { token: testSecret(orgId) } });
  }
}

beforeEach(async () => {
  database = await createTestDatabase({ template: migratedTemplate });
  login = await createLogin(database.adminUrl, "IN ROLE codespar_app");
  await fill();
  vi.stubEnv("DATABASE_URL", login.as(database.url));
});

afterEach(async () => {
  await server?.close();
  server = undefined;
  await database.drop();
  await login.drop();
});

async function start(encryptionKey: string) {
  vi.stubEnv("CODESPAR_ENCRYPTION_KEY", encryptionKey);
  server = await startServer({
    config: {
      port: 0,
      logLevel: "silent",
      adminKey: new Secret(adminKey),
      checkpoints: { everyEntries: 100, everySeconds: 3600 },
    },
    signals: false,
    say: () => undefined,
  });
  const { url } = server;
  const call = (path: string, method = "GET", body?: object) =>
    send(url, { path, method, headers: bearer(adminKey), ...(body && { body }) });
  return { url, call };
}

it("warns in health of a key that isn't set, and counts entries that an earlier one left unsigned", async () => {
  const { url } = await start(present);
  const unsigned = { status: "ok", audit: { signing: true, unsignedEntries: 2 } };
  expect(bodyOf(await healthOnce(url, unsigned))["storage"]).toMatchObject({
    isolation: "roles",
    warnings: [expect.stringContaining(`the key(s) ${keyIds[1]} that sealed them`)],
  });
});

it("lists organisations, and counts what each key has sealed", async () => {
  const { call } = await start(present);
  const orgs = await call("/api/orgs");
  expect([orgs.status, bodyOf(orgs)["items"]]).toEqual([
    200,
    [{ orgId: "acme" }, { orgId: "other" }],
  ]);
  const status = await call("/api/secrets/status");
  expect([status.status, bodyOf(status)["keys"]]).toEqual([
    200,
    [
      { id: keyIds[0], active: true, available: true, records: 1 },
      { id: keyIds[1], active: false, available: false, records: 1 },
    ],
  ]);
});

it("erases an organisation once it is granted codespar_maintenance, and else says what to grant", async () => {
  const { call } = await start(present);
  const erase = () => call("/api/orgs/acme?confirm=acme", "DELETE");
  const refused = await erase();
  expectProblem(refused, 501, "UNSUPPORTED");
  expect(bodyOf(refused)["detail"]).toContain(`GRANT codespar_maintenance TO ${login.name}`);
  await login.grant("codespar_maintenance");
  expect((await erase()).status).toBe(200);
  expect(bodyOf(await call("/api/orgs"))["items"]).toEqual([{ orgId: "other" }]);
});

it("seals nothing anew, and says what to grant", async () => {
  const { call } = await start(`${present},${gone}`);
  const refused = await call("/api/secrets/rotate", "POST", {});
  expectProblem(refused, 501, "UNSUPPORTED");
  expect(bodyOf(refused)["detail"]).toContain(`GRANT codespar_owner TO ${login.name}`);
  expect(bodyOf(await call("/api/secrets/status"))).toMatchObject({ records: 2, remaining: 1 });
});
