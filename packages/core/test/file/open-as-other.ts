import { FileBackend } from "../../src/storage/file/file-backend.ts";

/** Run as a process of its own: as a user who may not write the folder, tells what a write is answered. */
if (process.getuid?.() === 0) process.setuid?.(65_534);
const backend = new FileBackend({
  directory: process.argv[2] ?? "",
  readOnly: false,
  clock: Date.now,
});
const commit = { checks: [], writes: [], appends: [] };
const error = await backend.commit("acme", commit, { now: 0 }).catch((caught: unknown) => caught);
process.stdout.write(JSON.stringify({ ...(error as object), message: String(error) }));
