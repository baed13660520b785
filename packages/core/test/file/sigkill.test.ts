import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { stepsStored } from "./scenario.ts";
import { openBackend, temporaryFolder } from "./support.ts";

const rounds = 5 * Number(process.env["CODESPAR_TEST_ROUNDS"] ?? "1");

describe("a process killed with SIGKILL", () => {
  it(
    "at a random moment keeps what it acknowledged, and its successor goes on",
    async () => {
      const directory = await temporaryFolder();
      let acknowledged = 0;
      let begun = 0;
      for (let round = 0; round < rounds; round++) {
        const child = startWriter(directory);
        const exited = new Promise((resolve) =>
          // Not "exit", which may come before the last lines do.
          child.once("close", (_code, signal) => resolve(signal)),
        );
        const lines = createInterface({ input: child.stdout ?? process.stdin });
        const drained = new Promise<void>((resolve) => lines.once("close", resolve));
        const started = new Promise<void>((resolve, reject) => {
          lines.on("line", (line) => {
            const [what, n] = line.split(" ");
            if (what === "begin") begun = Number(n);
            if (what === "done") acknowledged = Number(n);
            resolve();
          });
          child.once("exit", () => reject(new Error("the writer ended before it wrote")));
        });
        await started;
        await sleep(Math.random() * 400);
        child.kill("SIGKILL");
        expect(await exited).toBe("SIGKILL");
        await drained;
        const backend = openBackend(directory);
        const steps = await stepsStored(backend);
        expect(steps).toBeGreaterThanOrEqual(acknowledged);
        // The line that told of the last beginning may not have come through either.
        expect(steps).toBeLessThanOrEqual(Math.max(begun, acknowledged) + 1);
        await backend.close();
      }
      process.stdout.write(`${rounds} rounds, ${acknowledged} steps\n`);
      expect(acknowledged).toBeGreaterThan(0);
    },
    60_000 + rounds * 10_000,
  );
});

/** A process that takes one step after the other and tells of each. */
function startWriter(directory: string): ChildProcess {
  const script = new URL("./writer.ts", import.meta.url).pathname;
  return spawn(process.execPath, ["--import", "tsx", script, directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}
