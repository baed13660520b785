import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { Socket } from "node:net";

/*
 * Loaded into a process before all else, this counts its steps: what it renames, removes or makes durable among files, and what it sends over a
 * connection. Right before the step that CODESPAR_TEST_DIES_BEFORE names the process is killed, as by `kill -9`. One that ends by itself says on
 * standard error how many there were.
 */
const last = Number(process.env["CODESPAR_TEST_DIES_BEFORE"] ?? "0");
let steps = 0;

function step(): void {
  steps += 1;
  if (steps === last) process.kill(process.pid, "SIGKILL");
}

/** Counts the calls of a method, those `of` a certain object only. */
function count(holder: object, name: string, of: (object: unknown) => boolean = () => true): void {
  const method = Reflect.get(holder, name) as (...args: unknown[]) => unknown;
  Reflect.set(holder, name, function (this: unknown, ...args: unknown[]) {
    if (of(this)) step();
    return Reflect.apply(method, this, args);
  });
}

const handle = await fs.promises.open(new URL(import.meta.url));
count(Object.getPrototypeOf(handle) as object, "sync");
await handle.close();
count(fs, "fdatasync");
for (const name of ["rename", "rm", "unlink"]) count(fs.promises, name);
// Standard output may be a socket too.
count(
  Socket.prototype,
  "write",
  (socket) => socket instanceof Socket && socket.remotePort !== undefined,
);
syncBuiltinESMExports();

process.once("exit", () => {
  fs.writeSync(2, `${steps} steps\n`);
});
