import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import pg from "pg";
import { describe, expect, it } from "vitest";
import { send } from "../../../packages/server/test/support/http.ts";
import { createTestDatabase, sharedServer, startCluster } from "../../postgres.ts";
import { removeScratch, StreamSearch, scratchFolder, testKey, testSecret } from "../../secrets.ts";

/*
 * What nothing may do: each of these tests leaks a secret into one kind of place. Run by ../whole-run.test.ts, which expects every one to be found.
 */
const secret = testSecret();
/** As the product makes them; of nobody. */
const apiKey = `csk_YWNtZQ_0199a7c2-1b2f-7d3c-8e4f-5a6b7c8d9e0f_${"A".repeat(43)}`;

const written: Readonly<Record<string, string | Buffer>> = {
  "a secret": `...${secret}...`,
  "a secret in base64": Buffer.from(` ${secret}`).toString("base64"),
  "the bytes of a key": Buffer.from(testKey(), "base64"),
  "a key": testKey(),
  "a key in hex": Buffer.from(testKey()).toString("hex"),
  "an API key": `"${apiKey}"`,
  "an API key in hex": Buffer.from(apiKey).toString("hex"),
  "an API key in UTF-16": Buffer.from(apiKey, "utf16le"),
  "an API key in base64": Buffer.from(`12${apiKey}`).toString("base64"),
  "a secret far inside, across two pieces of the file": `${"x".repeat((8 << 20) + 4096 - 5)}${secret}`,
};

describe("found where it happens", () => {
  it.each(Object.entries(written))("%s in a file", async (_, content) => {
    const folder = await scratchFolder("control");
    await writeFile(join(folder, "file"), content);
    await removeScratch(folder);
  });

  it("in the name of a file", async () => {
    const folder = await scratchFolder("control");
    await writeFile(join(folder, secret), "");
    await removeScratch(folder);
  });

  it("in a row", async () => {
    await using database = await createTestDatabase();
    await run(database.url, `CREATE TABLE t AS SELECT '${secret}'::bytea AS secret`);
  });

  it("in the files of a server", async () => {
    await using cluster = await startCluster();
    await run(cluster.adminUrl, `CREATE TABLE t AS SELECT '${secret}' AS secret`);
    await run(cluster.adminUrl, "DROP TABLE t");
  });

  it("in an answer", async () => {
    const server = createServer((_, response) => response.end(JSON.stringify({ secret })));
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    await send(`http://127.0.0.1:${port}`, { path: "/" }).finally(() => server.close());
  });

  it("in the output of a process", async () => {
    const search = new StreamSearch("the output");
    for (const piece of [secret.slice(0, 15), secret.slice(15)]) search.add(piece);
  });
});

describe("found at the end of the run", () => {
  it("in the output of the run, a folder that is left, the process listing and the server's log", async () => {
    process.stdout.write(`${secret}\n`);
    await writeFile(join(await scratchFolder("left"), "file"), secret);
    const options = { detached: true, stdio: "ignore" } as const;
    const script = "setTimeout(() => {}, 600_000)";
    const child = spawn(process.execPath, ["-e", script, secret], options);
    // Whoever looks for this line ends it.
    process.stdout.write(`left running: ${child.pid}\n`);
    child.unref();
    await expect(run(sharedServer(), `SELECT '${secret}' FROM nowhere`)).rejects.toThrow();
  });
});

async function run(connectionString: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  await client.query(text).finally(() => client.end());
}
