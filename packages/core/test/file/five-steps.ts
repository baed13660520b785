import { writeSync } from "node:fs";
import { FileBackend } from "../../src/storage/file/file-backend.ts";
import { step } from "./scenario.ts";

/**
 * Run as a process of its own: steps, each told of once it is acknowledged, and a snapshot after the third and the last. The last one erases
 * a part that the journal holds.
 */
for (const steps of [
  [1, 2, 3],
  [4, 5],
]) {
  const backend = new FileBackend({
    directory: process.argv[2] ?? "",
    readOnly: false,
    clock: Date.now,
  });
  for (const n of steps) {
    await step(backend, n, { erases: n === 5 });
    writeSync(1, `done ${n}\n`);
  }
  await backend.close();
}
