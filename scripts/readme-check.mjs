/**
 * Does what the README says, as written, in a fresh clone of the last commit: runs its `sh` blocks in one shell after
 * another and its `ts` blocks with Node, and compares what they print with the `json` or `text` block that follows, times,
 * hashes and the like aside.
 *
 * Only the address of the PostgreSQL server it assumes leads to a throwaway one. A comment `<!-- server -->` before a block
 * says that the block keeps running; `<!-- stop -->` that it is ended with Ctrl-C.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { root, setUp } from "./setup.mjs";
import { cleanEnvironment, run, withFolder } from "./support.mjs";

const README_DATABASE = "postgres://postgres@localhost:5432/";

/** What differs from run to run, and what stands for it. */
const MASKS = [
  [/"time":\d+,"pid":\d+,"hostname":"[^"]*"/g, '"time":<number>,"pid":<number>,"hostname":<name>'],
  [/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "<time>"],
  [/\b[0-9a-f]{64}\b/g, "<hash>"],
  [/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "<id>"],
  [/"version":"[^"]*"/g, '"version":"<version>"'],
  [/"(latencyMs|uptimeSeconds)":[\d.e-]+/g, '"$1":<number>'],
  [/[\d.]+ (ms|seconds)\b/g, "<number> $1"],
  [/\bentry \d+/g, "entry <number>"],
  // Each checkpoint is one, and a slow run signs more of them.
  [/\b\d+ checks ok/g, "<number> checks ok"],
  [/sha256:[0-9a-f]+…/g, "sha256:<hash>"],
  [/codespar\/log\/[0-9a-f]{32}/g, "<log>"],
  [/^[\w+/]{43}=$/gm, "<root>"],
  [/^— <log> [\w+/=]+$/gm, "— <log> <signature>"],
  [/\/\S*\/codespar(?=\/|\s|$)/g, "<checkout>"],
  [/postgres \S*\/codespar\b/g, "postgres <database>"],
  [/ {2,}/g, " "],
];

await setUp("tooling");
const { startCluster, THROWAWAY_SETTINGS } = await import("../tooling/dist/postgres.js");
const blocks = parse(await readFile(join(root, "README.md"), "utf8"));
if (await answers(3000)) throw new Error("port 3000 is in use; the README's server needs it");

const cluster = await startCluster({ settings: THROWAWAY_SETTINGS });
try {
  await withFolder("readme", (folder) => followReadme(folder));
} finally {
  await cluster[Symbol.asyncDispose]();
}
console.log(`the README's ${blocks.length} blocks do what they say`);

/** The runnable blocks in order: language, code, line, the comment before it, the output that follows it. */
function parse(markdown) {
  const found = [...markdown.matchAll(/(?:<!-- (\w+) -->\n)?^```(\w+)\n(.*?)^```$/gms)].map(
    (match) => ({
      comment: match[1],
      language: match[2],
      code: match[3],
      line: markdown.slice(0, match.index).split("\n").length,
      end: match.index + match[0].length,
    }),
  );
  return found.flatMap((block, i) => {
    const next = found[i + 1];
    const follows = next !== undefined && ["json", "text"].includes(next.language);
    return ["sh", "ts"].includes(block.language)
      ? [{ ...block, output: follows ? next.code : undefined }]
      : [];
  });
}

async function followReadme(folder) {
  const env = cleanEnvironment(folder);
  await run("git", ["clone", "--quiet", root, join(folder, "codespar")], { env: process.env });
  // A reader's terminals: the folder they are in and what they exported lasts from block to block.
  const state = join(folder, ".state");
  await writeFile(state, `cd '${join(folder, "codespar")}'\n`);
  const servers = [];
  try {
    for (const block of blocks) await follow(block, { env, state, servers });
  } finally {
    for (const server of servers) await interrupt(server);
  }
}

async function follow(block, reader) {
  if (block.comment === "stop") await Promise.all(reader.servers.splice(0).map(interrupt));
  const code = block.code.replaceAll(README_DATABASE, cluster.adminUrl.replace(/postgres$/, ""));
  const script = block.language === "ts" ? nodeScript(code) : code;
  const printed =
    block.comment === "server" ? await serve(script, reader) : await shell(script, reader, block);
  if (block.output === undefined) return;
  const [expected, actual] = [masked(block.output), masked(printed)];
  // A server's log goes on in between and after; everything else prints just what it says.
  const same = block.comment === "server" ? inOrder(expected, actual) : expected === actual;
  if (same) return;
  throw new Error(`README.md:${block.line} says\n${expected}\nbut what happens is\n${actual}`);
}

function inOrder(expected, actual) {
  const lines = actual.split("\n");
  return expected.split("\n").every((line) => {
    const at = lines.indexOf(line);
    lines.splice(0, at + 1);
    return at >= 0;
  });
}

/** A `ts` block runs as the module that it is; its types are checked elsewhere. */
function nodeScript(code) {
  return `cat >example.mjs <<'EXAMPLE'\n${code}EXAMPLE\nnode example.mjs\nrm example.mjs\n`;
}

async function shell(script, { env, state }, block) {
  const text = `source '${state}'\nset -e\n${script}\n${remember(state)}`;
  const child = spawn("bash", ["-c", text], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 300_000,
  });
  let printed = "";
  let errors = "";
  child.stdout.on("data", (data) => {
    printed += data;
  });
  child.stderr.on("data", (data) => {
    errors += data;
  });
  const [code] = await once(child, "close");
  if (code !== 0)
    throw new Error(`README.md:${block.line} fails with ${code}:\n${printed}${errors}`);
  return printed;
}

function remember(state) {
  return `{ export -p; echo "cd '$PWD'"; } >'${state}'`;
}

/** Runs a block that goes on until Ctrl-C, and waits until it serves. The folders it enters count for what follows. */
async function serve(script, { env, state, servers }) {
  const text = `source '${state}'\n${script.replaceAll(/^(?=npm start)/gm, `${remember(state)}\n`)}`;
  const server = spawn("bash", ["-c", text], {
    env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  servers.push(server);
  let printed = "";
  for (const stream of [server.stdout, server.stderr]) {
    stream.on("data", (data) => {
      printed += data;
    });
  }
  const serves = () => printed.includes("CodeSpar is listening on");
  for (const deadline = Date.now() + 300_000; !serves(); await sleep(100)) {
    if (server.exitCode !== null || Date.now() > deadline)
      throw new Error(`npm start:\n${printed}`);
  }
  await sleep(300);
  return printed;
}

/** Ctrl-C reaches every process of the terminal. */
async function interrupt(server) {
  if (server.exitCode !== null) return;
  const ended = once(server, "close");
  process.kill(-server.pid, "SIGINT");
  await ended;
}

async function answers(port) {
  const socket = connect(port, "localhost");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function masked(text) {
  return MASKS.reduce((result, [pattern, mask]) => result.replaceAll(pattern, mask), text).trim();
}
