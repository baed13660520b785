/**
 * Packs the packages, installs the tarballs in an empty folder as a user would, and uses them: the library from plain
 * JavaScript and from strict TypeScript, the command line, the server.
 */
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { root, setUp } from "./setup.mjs";
import { cleanEnvironment, freePort, run, startServer, withFolder } from "./support.mjs";

const LIBRARY = `
import { createStorage, StorageError } from "@codespar/core";

const storage = createStorage("org_abc123");
const { created } = await storage.memory.set("agent-1", "greeting", { text: "hello" }, { record: true });
const value = await storage.memory.get("agent-1", "greeting");
const { items } = await storage.audit.list();
await storage.memory.set("agent-1", "greeting", 2, { ifAbsent: true }).catch((error) => {
  if (!StorageError.is(error)) throw error;
  console.log(error.code);
});
console.log(JSON.stringify({ created, value, entries: items.length }));
`;

const TYPED = `
import { createStorage, type Storage } from "@codespar/core";

const storage: Storage = createStorage();
const entry = await storage.memory.getEntry("agent-1", "greeting");
export const version: string | undefined = entry?.version;
// @ts-expect-error an agent id is text
await storage.memory.get(1, "greeting");
`;

const TYPED_CONFIG = {
  compilerOptions: {
    ...{
      strict: true,
      noEmit: true,
      target: "ES2022",
      module: "NodeNext",
      lib: ["ES2023", "ESNext.Disposable"],
    },
    ...{ exactOptionalPropertyTypes: true, skipLibCheck: false, types: [] },
  },
  files: ["typed.ts"],
};

await setUp(".");
await withFolder("smoke", async (folder) => {
  const env = cleanEnvironment(folder, {
    npm_config_cache: join(folder, "..", "codespar-smoke-npm-cache"),
  });
  const options = { cwd: folder, env };
  await install(folder, options);
  await library(folder, options);
  await commandLine(options);
});
console.log("packed packages work in an empty folder");

async function install(folder, options) {
  const tarballs = join(folder, "tarballs");
  await mkdir(tarballs);
  const workspaces = ["@codespar/core", "@codespar/server", "codespar"].flatMap((name) => [
    "-w",
    name,
  ]);
  await run("npm", ["pack", "--silent", "--pack-destination", tarballs, ...workspaces], {
    cwd: root,
  });
  const packed = (await readdir(tarballs)).map((name) => `./tarballs/${name}`);
  await writeFile(join(folder, "package.json"), '{ "private": true, "type": "module" }');
  await run("npm", ["install", "--no-audit", "--no-fund", ...packed], options);
}

async function library(folder, options) {
  await writeFile(join(folder, "library.js"), LIBRARY);
  const printed = await run(process.execPath, ["library.js"], options);
  const expected = 'PRECONDITION_FAILED\n{"created":true,"value":{"text":"hello"},"entries":1}\n';
  if (printed !== expected) throw new Error(`the library printed ${printed}instead of ${expected}`);
  await writeFile(join(folder, "typed.ts"), TYPED);
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(TYPED_CONFIG));
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  await run(process.execPath, [tsc, "-p", folder], options);
}

async function commandLine(options) {
  const help = await run("npx", ["--no-install", "codespar", "--help"], options);
  if (!help.includes("codespar")) throw new Error(`codespar --help printed ${help}`);
  const env = { ...options.env, PORT: String(await freePort()) };
  // Not through npx, which leaves the server running when it is ended by a signal itself.
  const bin = join(options.cwd, "node_modules", ".bin", "codespar");
  const server = await startServer(bin, ["start"], { ...options, env });
  const found = await fetch(`${server.url}/api/agents/agent-1/memory/greeting`, {
    headers: { "x-org-id": "org_abc123" },
  });
  const body = await found.json();
  if (body.value?.text !== "hello") throw new Error(`the server answered ${JSON.stringify(body)}`);
  await server.stop();
}
