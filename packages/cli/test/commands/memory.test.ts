import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eachWay, type Place } from "../support/storages.ts";

const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

describe.each(eachWay)("memory on %s", (_name, open) => {
  let place: Place;
  let agents = 0;
  let agent: string;

  beforeAll(async () => {
    place = await open();
  });

  afterAll(() => place[Symbol.asyncDispose]());

  /** Tests share a storage, each with an agent of its own. */
  function freshAgent(): string {
    agents += 1;
    agent = `agent-${agents}`;
    return agent;
  }

  async function json(args: readonly string[]): Promise<unknown> {
    const { code, stdout, stderr } = await place.run([...args, "--json"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return JSON.parse(stdout);
  }

  it("stores, gives back and deletes a value", async () => {
    freshAgent();
    const set = await place.run(["memory", "set", agent, "greeting", '{"text": "hello"}']);
    expect(set).toMatchObject({ code: 0, stderr: "" });
    expect(set.stdout).toMatch(/^created \(version \S+\)\n$/);
    const get = await place.run(["memory", "get", agent, "greeting"]);
    expect(get).toMatchObject({ code: 0, stdout: '{"text":"hello"}\n', stderr: "" });
    const deleted = await place.run(["memory", "delete", agent, "greeting"]);
    expect(deleted).toMatchObject({ code: 0, stdout: "deleted\n", stderr: "" });
  });

  it("tells a missing entry by its status, and null on --json", async () => {
    freshAgent();
    const line = `codespar: Agent "${agent}" remembers nothing under "nothing".\n`;
    const get = await place.run(["memory", "get", agent, "nothing"]);
    expect(get).toMatchObject({ code: 4, stdout: "", stderr: line });
    const asJson = await place.run(["memory", "get", agent, "nothing", "--json"]);
    expect(asJson).toMatchObject({ code: 4, stdout: "null\n", stderr: line });
    const deleted = await place.run(["memory", "delete", agent, "nothing", "--json"]);
    expect(deleted).toMatchObject({ code: 4, stdout: '{"deleted":false}\n', stderr: line });
  });

  it("tells a stored null from a missing entry", async () => {
    freshAgent();
    await json(["memory", "set", agent, "nil", "null"]);
    expect(await place.run(["memory", "get", agent, "nil"])).toMatchObject({
      code: 0,
      stdout: "null\n",
    });
    expect(await json(["memory", "get", agent, "nil"])).toMatchObject({ key: "nil", value: null });
  });

  it("prints whole entries as JSON", async () => {
    freshAgent();
    const set = await json(["memory", "set", agent, "k", "1", "--ttl", "1h"]);
    expect(set).toEqual({
      key: "k",
      version: expect.any(String),
      created: true,
      createdAt: expect.stringMatching(instant),
      updatedAt: expect.stringMatching(instant),
      expiresAt: expect.stringMatching(instant),
    });
    const { created: _, ...meta } = set as { created: boolean };
    expect(await json(["memory", "get", agent, "k"])).toEqual({ ...meta, value: 1 });
    const again = await json(["memory", "set", agent, "k", "2"]);
    expect(again).toMatchObject({ created: false, expiresAt: null });
  });

  it("takes text with --string and gives it back without quotes", async () => {
    freshAgent();
    const text = 'say "hi"\nthen go';
    await json(["memory", "set", agent, "text", text, "--string"]);
    const raw = await place.run(["memory", "get", agent, "text", "--string"]);
    expect(raw).toMatchObject({ code: 0, stdout: text });
    const quoted = await place.run(["memory", "get", agent, "text"]);
    expect(quoted.stdout).toBe(`${JSON.stringify(text)}\n`);
    await json(["memory", "set", agent, "number", "1"]);
    const refused = await place.run(["memory", "get", agent, "number", "--string"]);
    expect(refused).toMatchObject({ code: 2, stdout: "" });
  });

  it("reads VALUE from standard input, byte by byte as it is", async () => {
    freshAgent();
    const text = "\ufeffline\r\n\u0000end\n";
    const set = await place.runApart(["memory", "set", agent, "piped", "-", "--string"], {
      stdin: text,
    });
    expect(set.code).toBe(0);
    expect(await json(["memory", "get", agent, "piped"])).toMatchObject({ value: text });
    const bytes = Buffer.from([0x22, 0xff, 0x22]);
    const refused = await place.runApart(["memory", "set", agent, "piped", "-"], { stdin: bytes });
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    expect(refused.stderr).toMatch(/^codespar: Standard input is not UTF-8 text\. [^\n]+\n$/);
  });

  it("keeps values that nobody expects", async () => {
    freshAgent();
    for (const value of ['{"__proto__":{"a":1}}', '"\\ud800\\u0000"', "-5.5", "[]", '"-"', "0"]) {
      await json(["memory", "set", agent, "odd", value]);
      const { stdout } = await place.run(["memory", "get", agent, "odd"]);
      expect(JSON.parse(stdout)).toEqual(JSON.parse(value));
    }
  });

  it("reaches ids and keys that an address can't carry, in the organisation of --org", async () => {
    const org = ["--org", "größe/ü%"];
    for (const [agentId, key] of [
      [".", ".."],
      ["a/b", "x?y#z%2e"],
      ["é 😀", "käse"],
    ] as const) {
      await json(["memory", "set", agentId, key, `"${key}"`, ...org]);
      expect(await json(["memory", "get", agentId, key, ...org])).toMatchObject({
        key,
        value: key,
      });
      expect((await place.run(["memory", "get", agentId, key])).code).toBe(4);
      expect((await place.run(["memory", "delete", agentId, key, ...org])).code).toBe(0);
    }
  });

  it("keeps preconditions, and says what is stored", async () => {
    freshAgent();
    const { version } = (await json(["memory", "set", agent, "k", "1", "--if-absent"])) as {
      version: string;
    };
    const absent = await place.run(["memory", "set", agent, "k", "2", "--if-absent"]);
    expect(absent).toMatchObject({ code: 5, stdout: "" });
    expect(absent.stderr).toMatch(/^codespar: [^\n]+ \[PRECONDITION_FAILED\]\n$/);
    expect(absent.stderr).toContain(version);
    for (const wrong of ["other", 'with"quote', "größe"]) {
      const refused = await place.run(["memory", "set", agent, "k", "2", "--if-version", wrong]);
      expect([wrong, refused.code]).toEqual([wrong, 5]);
      const kept = await place.run(["memory", "delete", agent, "k", "--if-version", wrong]);
      expect([wrong, kept.code]).toEqual([wrong, 5]);
    }
    expect(await json(["memory", "get", agent, "k"])).toMatchObject({ value: 1, version });
    await json(["memory", "set", agent, "k", "3", "--if-version", version]);
    const both = await place.run([
      "memory",
      "set",
      agent,
      "k",
      "1",
      "--if-absent",
      "--if-version",
      version,
    ]);
    expect(both.code).not.toBe(0);
  });

  it("lists page by page, by prefix, in both directions", async () => {
    freshAgent();
    for (const key of ["a/1", "a/2", "a/3", "b"])
      await json(["memory", "set", agent, key, `"${key}"`]);
    type Listed = { items: { key: string; value: unknown }[]; nextCursor: string | null };
    const keys = (page: Listed) => page.items.map(({ key }) => key);
    const first = (await json([
      "memory",
      "list",
      agent,
      "--prefix",
      "a/",
      "--limit",
      "2",
    ])) as Listed;
    expect(keys(first)).toEqual(["a/1", "a/2"]);
    const cursor = first.nextCursor ?? "";
    const rest = ["memory", "list", agent, "--prefix", "a/", "--limit", "2", "--cursor", cursor];
    expect(keys((await json(rest)) as Listed)).toEqual(["a/3"]);
    const all = (await json([
      "memory",
      "list",
      agent,
      "--all",
      "--limit",
      "1",
      "--reverse",
    ])) as Listed;
    expect([keys(all), all.nextCursor]).toEqual([["b", "a/3", "a/2", "a/1"], null]);
    const table = await place.run(["memory", "list", agent, "--limit", "3"]);
    expect(table.stdout.split("\n").map((line) => line.split(/\s+/)[0])).toEqual([
      "KEY",
      "a/1",
      "a/2",
      "a/3",
      "",
    ]);
    expect(table.stderr).toMatch(/^There is more: --cursor \S+, or --all\.\n$/);
    expect((await place.run(["memory", "list", agent, "--cursor", "forged"])).code).toBe(2);
    for (const [limit, code] of [
      ["0", "VALIDATION"],
      ["1001", "LIMIT_EXCEEDED"],
    ] as const) {
      const refused = await place.run(["memory", "list", agent, "--limit", limit]);
      expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining(`[${code}]`) });
    }
  });

  it("says that there is nothing to list", async () => {
    freshAgent();
    const { code, stdout, stderr } = await place.run(["memory", "list", agent]);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "", stderr: "Nothing found.\n" });
    expect(await json(["memory", "list", agent])).toEqual({ items: [], nextCursor: null });
  });

  it("records a write in the trail when asked to", async () => {
    freshAgent();
    await json(["memory", "set", agent, "k", "1", "--record"]);
    await json(["memory", "delete", agent, "k", "--record"]);
    const listed = (await json(["audit", "list", "--agent", agent])) as {
      items: { action: string }[];
    };
    expect(listed.items.map(({ action }) => action)).toEqual(["memory.deleted", "memory.set"]);
  });

  it("refuses what the contract refuses, without writing", async () => {
    freshAgent();
    for (const args of [
      ["", "k", "1"],
      [agent, "", "1"],
      [agent, "k".repeat(513), "1"],
      [agent, "k", "1", "--ttl", "999ms"],
      [agent, "k", "1", "--ttl", "10m", "--expires-at", "2999-01-01T00:00:00Z"],
      [agent, "k", "1", "--org", "o".repeat(129)],
      [agent, "k", "not JSON"],
      [agent, "k", "1e400"],
    ]) {
      const { code, stdout, stderr } = await place.run(["memory", "set", ...args]);
      expect({ args: args.map((a) => a.slice(0, 40)), code, stdout }).toMatchObject({
        code: 2,
        stdout: "",
      });
      expect(stderr).toMatch(/^codespar: [^\n]+\n$/);
    }
    const large = await place.runApart(["memory", "set", agent, "k", "-", "--string"], {
      stdin: "v".repeat(256 * 1024),
    });
    expect(large.code).toBe(2);
    expect(large.stderr).toContain("[LIMIT_EXCEEDED]");
    const deep = await place.runApart(["memory", "set", agent, "k", "-"], {
      stdin: "[".repeat(100_000) + "]".repeat(100_000),
    });
    expect(deep.code).toBe(2);
    expect(deep.stderr).toContain("[LIMIT_EXCEEDED]");
    expect((await place.run(["memory", "get", agent, "k"])).code).toBe(4);
  });
});
