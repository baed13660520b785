import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { removeScratch, scratchFolder } from "../secrets.ts";
import type { Tally } from "../tally-reporter.ts";

it("finds a secret in each kind of place, and so fails the run by name", async () => {
  const folder = await scratchFolder("control");
  const path = join(folder, "tally.json");
  const { TEST_DATABASE_URL: _, ...env } = process.env;
  const vitest = fileURLToPath(new URL("../../node_modules/vitest/vitest.mjs", import.meta.url));
  const config = fileURLToPath(new URL("control/vitest.config.ts", import.meta.url));
  const run = spawn(process.execPath, [vitest, "run", "--config", config], {
    env: { ...env, CODESPAR_TEST_TALLY: path },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [output, , [status]] = await Promise.all([
    text(run.stdout),
    text(run.stderr),
    once(run, "close"),
  ]);
  process.kill(Number(/left running: (\d+)/.exec(output)?.[1]), "SIGKILL");
  expect(status, output).toBe(1);
  const { passed, failures } = JSON.parse(await readFile(path, "utf8")) as Tally;
  // The one that writes where only the end of the run looks.
  expect(passed, output).toBe(1);
  const found = failures.map((each) => each.replace(/^.* > /, "").replace(/left-\w+/, "left"));
  expect(found.sort()).toEqual(
    [
      "a key in a file: file shows a secret (base64 at 0)",
      "a key in hex in a file: file shows a secret (hex)",
      "a secret far inside, across two pieces of the file in a file: file shows a secret (plain)",
      "a secret in a file: file shows a secret (plain)",
      "a secret in base64 in a file: file shows a secret (base64 at 2)",
      "an API key in UTF-16 in a file: file shows a secret (an API key in UTF-16)",
      "an API key in a file: file shows a secret (an API key)",
      "an API key in base64 in a file: file shows a secret (an API key in base64)",
      "an API key in hex in a file: file shows a secret (an API key in hex)",
      "in a row: a row of the database shows a secret (hex)",
      "in an answer: the answer 200 to GET / shows a secret (plain)",
      "in the files of a server: data/pg_wal/000000010000000000000001 shows a secret (plain)",
      "in the name of a file: the name of a file in . shows a secret (plain)",
      "in the output of a process: the output shows a secret (plain)",
      "the bytes of a key in a file: file shows a secret (plain)",
      ...[
        "left/file shows a secret (plain)",
        "server.log shows a secret (plain)",
        "the output of the run shows a secret (plain)",
        "the process listing shows a secret (plain)",
      ].map((each) => `what the whole run wrote holds no secret that a test stored: ${each}`),
    ].sort(),
  );
  await removeScratch(folder);
});
