import { createStorage, type IssuedApiKey } from "@codespar/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cliInNewFolder, runHere } from "../support/run-cli.ts";
import { eachWay, type Place, startServer } from "../support/storages.ts";

type Shown = IssuedApiKey["key"];

describe.each(eachWay)("keys on %s", (_name, open) => {
  let place: Place;
  beforeAll(async () => {
    place = await open();
  });
  afterAll(() => place[Symbol.asyncDispose]());

  async function json<Result>(...args: string[]): Promise<Result> {
    const { code, stdout, stderr } = await place.run([...args, "--json"]);
    expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: "" });
    return JSON.parse(stdout) as Result;
  }

  it("are made, with nothing but the token on standard output", async () => {
    const { code, stdout, stderr } = await place.run(["keys", "create", "ci", "--org", "acme"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^csk_YWNtZQ_[0-9a-f-]{36}_[A-Za-z0-9_-]{43}\n$/);
    expect(stderr).toMatch(/^key [0-9a-f-]{36} \(ci\): read, write\nKeep the token: [^\n]+\n$/);
    const { key, token } = await json<{ key: Shown; token: string }>(
      ...["keys", "create", "auditor", "--org", "acme", "--scopes", "audit:read, read"],
      ...["--expires-in", "90d"],
    );
    expect(token).toContain(key.id);
    expect(key).toMatchObject({ name: "auditor", scopes: ["read", "audit:read"] });
    expect(key.createdBy).toBe("system:cli");
    expect(Date.parse(key.expiresAt ?? "") - Date.now()).toBeGreaterThan(89 * 86_400_000);
    const { items } = await json<{ items: Shown[] }>("keys", "list", "--org", "acme");
    expect(items.map(({ name }) => name)).toEqual(["ci", "auditor"]);
    expect(JSON.stringify(items)).not.toContain("csk_");
    const table = await place.run(["keys", "list", "--org", "acme", "--limit", "1"]);
    expect(table.stdout).toMatch(
      /^ID +NAME +SCOPES +CREATED +LAST USED +ENDS\n[0-9a-f-]{36} +ci +read,write +\S+Z +never +never\n$/,
    );
    expect((await json<{ items: Shown[] }>("keys", "list")).items).toEqual([]);
  });

  it("are rotated and revoked", async () => {
    const org = ["--org", "rotating"];
    const first = await json<{ key: Shown }>("keys", "create", "ci", ...org);
    const second = await json<{ key: Shown; token: string }>(
      ...["keys", "rotate", first.key.id, "--overlap", "1h", ...org],
    );
    expect(second.key).toMatchObject({ name: "ci", scopes: ["read", "write"] });
    expect((await place.run(["keys", "revoke", second.key.id, ...org])).stdout).toBe("revoked\n");
    const { items } = await json<{ items: Shown[] }>("keys", "list", ...org);
    expect(
      items.map(({ expiresAt, revokedAt }) => [expiresAt !== null, revokedAt !== null]),
    ).toEqual([
      [true, false],
      [false, true],
    ]);
    const trail = await json<{ items: { action: string; actor: { id: string } }[] }>(
      ...["audit", "list", "--oldest-first", "--action", "api_key.*", ...org],
    );
    expect(trail.items.map(({ action, actor }) => `${actor.id} ${action}`)).toEqual([
      "cli api_key.created",
      "cli api_key.created",
      "cli api_key.rotated",
      "cli api_key.revoked",
    ]);
    for (const verb of ["revoke", "rotate"])
      expect((await place.run(["keys", verb, "none", ...org])).code).toBe(4);
    expect((await place.run(["keys", "rotate", second.key.id, ...org])).code).toBe(4);
    expect((await place.run(["keys", "create", "x", "--expires-at", "soon"])).code).toBe(2);
    const twoEnds = ["--expires-in", "90d", "--expires-at", "2032-01-01T00:00:00Z"];
    const refused = await place.run(["keys", "create", "x", ...twoEnds]);
    expect([refused.code, refused.stdout]).toEqual([2, ""]);
  });

  it("are rotated to the same end, unless another is given", async () => {
    const org = ["--org", "renewing"];
    const [end, later] = ["2032-01-01T00:00:00.000Z", "2033-01-01T00:00:00.000Z"];
    const first = await json<{ key: Shown }>("keys", "create", "ci", "--expires-at", end, ...org);
    const second = await json<{ key: Shown }>("keys", "rotate", first.key.id, ...org);
    expect(second.key.expiresAt).toBe(end);
    const given = ["--expires-at", later, ...org];
    const third = await json<{ key: Shown }>("keys", "rotate", second.key.id, ...given);
    expect(third.key.expiresAt).toBe(later);
    const inAnHour = ["--expires-in", "1h", ...org];
    const fourth = await json<{ key: Shown }>("keys", "rotate", third.key.id, ...inAnHour);
    expect(Date.parse(fourth.key.expiresAt ?? "")).toBeLessThan(Date.now() + 3_600_001);
  });

  it("don't lock the command line out of the storage", async () => {
    await json("keys", "create", "ci", "--org", "keyed");
    await json("memory", "set", "a", "k", "1", "--org", "keyed");
    expect(await json("memory", "get", "a", "k", "--org", "keyed")).toMatchObject({ value: 1 });
  });
});

describe("a server elsewhere", () => {
  it("is spoken to with the key of CODESPAR_API_KEY, in its organisation", async () => {
    await using cli = await cliInNewFolder();
    const server = await startServer(cli);
    const elsewhere = { CODESPAR_STORAGE_DIR: `${cli.folder}/unused`, DATABASE_URL: undefined };
    try {
      const made = await cli.run(["keys", "create", "remote", "--org", "acme"]);
      const env = { ...elsewhere, CODESPAR_API_KEY: made.stdout.trim() };
      const set = ["memory", "set", "coder", "k", '"v"'];
      expect(await runHere([...set, "--server", server.url], env)).toMatchObject({ code: 0 });
      const named = { ...env, CODESPAR_SERVER: server.url };
      expect((await runHere(["memory", "get", "coder", "k"], named)).stdout).toBe('"v"\n');
      const here = await cli.run(["memory", "get", "coder", "k", "--org", "acme"]);
      expect(here.stdout).toBe('"v"\n');

      const other = await runHere(["memory", "get", "coder", "k", "--org", "other"], named);
      expect(other).toMatchObject({ code: 2, stdout: "" });
      expect(other.stderr).toMatch(/^codespar: An API key belongs to one organisation[^\n]+\n$/);
      const admin = await runHere(["keys", "list"], named);
      expect(admin.stderr).toMatch(/^codespar: This needs a key with the scope admin[^\n]+\n$/);
      for (const key of [undefined, "csk_wrong"]) {
        const refused = await runHere(["memory", "get", "coder", "k"], {
          ...named,
          CODESPAR_API_KEY: key,
        });
        expect(refused).toMatchObject({ code: 2, stdout: "" });
        expect(refused.stderr).toMatch(/^codespar: Set CODESPAR_API_KEY [^\n]+\n$/);
      }
    } finally {
      await server.stop();
    }
    // What only looked for a server made no files of its own.
    await expect(
      createStorage("acme", { directory: `${cli.folder}/unused`, readOnly: true }).memory.get(
        "a",
        "k",
      ),
    ).resolves.toBeNull();
  });
});
