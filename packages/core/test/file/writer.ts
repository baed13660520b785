import { writeSync } from "node:fs";
import { FileBackend } from "../../src/storage/file/file-backend.ts";
import { step, stepsStored } from "./scenario.ts";

/** Run as a process of its own: takes steps until it is killed. */
const directory = process.argv[2] ?? "";
const backend = new FileBackend({ directory, readOnly: false, clock: Date.now });
for (let n = (await stepsStored(backend)) + 1; ; n++) {
  writeSync(1, `begin ${n}\n`);
  await step(backend, n, { erases: n % 3 === 0 });
  writeSync(1, `done ${n}\n`);
}
