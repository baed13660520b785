import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { createStorage } from "@codespar/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testKey, testSecret } from "../../../../tooling/secrets.ts";
import { cliInNewFolder, runHere } from "../support/run-cli.ts";
import { eachWay, type Place, startServer } from "../support/storages.ts";

describe.each(eachWay)("health on %s", (name, open) => {
  let place: Place;

  beforeAll(async () => {
    place = await open();
  });

  afterAll(() => place[Symbol.asyncDispose]());

  it("is ok, in one shape whichever way it is asked", async () => {
    const { code, stdout, stderr } = await place.run(["health", "--json"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toEqual({
      status: "ok",
      storage: {
        backend: name === "postgres" ? "postgres" : "file",
        latencyMs: expect.any(Number),
        durable: expect.any(Boolean),
        isolation: name === "postgres" ? expect.stringMatching(/^(roles|policies)$/) : "files",
        migrations: { applied: expect.any(Number), pending: 0 },
        encryption: expect.stringMatching(/^(ready|missing)$/),
        warnings: expect.any(Array),
      },
    });
    expect((await place.run(["health"])).stdout).toMatch(
      /^status: {5}ok\nstorage: {4}(files|postgres) /,
    );
  });
});

describe("health", () => {
  it("of a database that can't be reached says so, with the remedy", async () => {
    const env = { DATABASE_URL: "postgres://user:hunter2@127.0.0.1:1/db" };
    const { code, stdout, stderr } = await runHere(["health", "--json"], env);
    expect(code).toBe(6);
    expect(JSON.parse(stdout)).toMatchObject({ status: "unavailable", reason: expect.any(String) });
    expect(stderr).toMatch(/^codespar: [^\n]+\n$/);
    expect(stdout + stderr).not.toContain("hunter2");
    const key = randomBytes(32).toString("base64");
    const text = await runHere(["health"], { ...env, CODESPAR_ENCRYPTION_KEY: key });
    const lines = text.stdout
      .trim()
      .split("\n")
      .map((line) => line.split(/: +/));
    expect(Object.fromEntries(lines)).toMatchObject({
      status: "unavailable",
      durable: "unknown",
      isolation: "unknown",
      migrations: "unknown",
      secrets: "unknown",
    });
  });

  it("of a folder that can't be read is a coded error with the remedy, as with every command", async () => {
    await using cli = await cliInNewFolder();
    await writeFile(join(cli.folder, "file"), "");
    const env = { DATABASE_URL: undefined, CODESPAR_STORAGE_DIR: join(cli.folder, "file") };
    for (const args of [
      ["health"],
      ["memory", "get", "a", "k"],
      ["memory", "set", "a", "k", "1"],
    ]) {
      const { code, stdout, stderr } = await runHere(args, env);
      expect({ args, code, stdout }).toEqual({ args, code: 6, stdout: "" });
      expect(stderr).toMatch(/^codespar: [^\n]+Set CODESPAR_STORAGE_DIR [^\n]+ \[UNAVAILABLE\]\n$/);
    }
  });

  it("of an organisation whose files are damaged says so, and that of others is ok", async () => {
    await using cli = await cliInNewFolder();
    const directory = join(cli.folder, ".codespar");
    for (const org of ["default", "other"]) {
      await using storage = createStorage(org, { directory });
      await storage.memory.set("a", "k", "value");
    }
    const table = join(directory, "orgs", "default", "agent_memory.json");
    await writeFile(table, (await readFile(table, "utf8")).replace("value", "eulav"));
    const env = { DATABASE_URL: undefined, CODESPAR_STORAGE_DIR: directory };
    const { code, stdout, stderr } = await runHere(["health", "--json"], env);
    expect(code).toBe(7);
    expect(JSON.parse(stdout)).toMatchObject({
      status: "unavailable",
      code: "CORRUPTION",
      reason: expect.stringContaining("codespar salvage"),
      storage: { durable: null, encryption: null },
    });
    expect(stderr).toMatch(/^codespar: [^\n]+agent_memory\.json[^\n]+\n$/);
    const { code: expected } = await runHere(["memory", "get", "a", "k"], env);
    expect(expected).toBe(code);
    expect(await runHere(["health", "--org", "other"], env)).toMatchObject({ code: 0 });
  });

  it("with a wrong key isn't well, with the status of every command that meets it", async () => {
    await using cli = await cliInNewFolder();
    const directory = join(cli.folder, ".codespar");
    {
      await using storage = createStorage("default", { directory, encryptionKey: testKey() });
      await storage.channelConfigs.set("sentry", { credentials: { token: testSecret() } });
    }
    const env = {
      DATABASE_URL: undefined,
      CODESPAR_STORAGE_DIR: directory,
      CODESPAR_ENCRYPTION_KEY: testKey(),
    };
    const { code, stdout, stderr } = await runHere(["health", "--json"], env);
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ status: "unavailable", code: "KEY_MISMATCH" });
    expect(stderr).toContain("is not the key");
  });

  it("--url asks the server that is named, and knows what isn't one", async () => {
    await using cli = await cliInNewFolder();
    const server = await startServer(cli);
    expect(await runHere(["health", "--url", server.url], {})).toMatchObject({ code: 0 });
    await server.stop();
    expect(await runHere(["health", "--url", server.url], {})).toMatchObject({
      code: 6,
      stdout: "",
    });
  });

  it("doesn't wait long for a server that is stopped", async () => {
    // Accepts connections and never answers, as a process under SIGSTOP does.
    const stopped = createServer().listen(0, "127.0.0.1");
    await once(stopped, "listening");
    const { port } = stopped.address() as AddressInfo;
    const { code, stderr } = await runHere(["health", "--url", `http://127.0.0.1:${port}`], {});
    expect(code).toBe(6);
    expect(stderr).toContain("silent");
    stopped.close();
  });
});
