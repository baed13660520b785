#!/usr/bin/env node
// Committed, because npm links no bin whose build output doesn't exist yet.
import { existsSync } from "node:fs";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const built = new URL("../dist/main.js", import.meta.url);

if (major < 20 || (major === 20 && minor < 19)) {
  stop(`Node.js 20.19 or later is needed, this is ${process.versions.node}.`);
} else if (!existsSync(built)) {
  stop("the sources aren't built yet. Run npm start once, or npm run build, in the repository.");
} else {
  const { main } = await import(built.href);
  await main(process.argv);
}

function stop(reason) {
  process.stderr.write(`codespar: ${reason}\n`);
  process.exitCode = 1;
}
