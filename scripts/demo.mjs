/**
 * `npm run demo`: what the audit trail is good for, on files and on PostgreSQL, offline and in less than a minute.
 *
 * An agent that handles GitHub's webhooks is killed while it writes: nothing acknowledged is lost. Then somebody with all rights makes a
 * success of something that was denied: verification names the entry. Last, a stranger verifies the bundle that was exported before, with
 * what any Debian has.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { root, setUp } from "./setup.mjs";
import { cleanEnvironment, withFolder } from "./support.mjs";

/** After how many acknowledged deliveries the agent is killed. */
const KILL_AFTER = 120;
/** The delivery whose denial is falsified: the agent was not to delete an issue. */
const TARGET = "issues/4";

for (const project of ["packages/cli", "examples/github-webhooks", "tooling"]) await setUp(project);
const { startCluster } = await import("../tooling/dist/postgres.js");
const { KeyRing } = await import("../packages/core/dist/index.js");
const agent = join(root, "examples", "github-webhooks", "dist", "agent.js");
const cli = join(root, "packages", "cli", "bin", "codespar.js");

await withFolder("demo", (folder) => show("files", machine(folder, {}), asRoot));
console.log();
const cluster = await startCluster();
try {
  const databaseUrl = cluster.adminUrl.replace(/postgres$/, "codespar");
  const env = { DATABASE_URL: databaseUrl, CODESPAR_ENCRYPTION_KEY: KeyRing.generate() };
  await withFolder("demo", async (folder) => {
    const computer = machine(folder, env);
    await computer.codespar("migrate", "--create");
    await show("PostgreSQL", computer, asSuperuser);
  });
} finally {
  await cluster[Symbol.asyncDispose]();
}
console.log(`\nAll of it took ${process.uptime().toFixed(1)} seconds.`);

async function show(backend, computer, falsify) {
  console.log(`On ${backend}`);
  const acknowledged = await killedAgent(computer);
  say("kill -9", `an agent that handles GitHub's webhooks, once ${KILL_AFTER} were acknowledged`);
  const kept = (await entries(computer)).map(({ target }) => target.id);
  const lost = acknowledged.filter((key) => !kept.includes(key));
  if (lost.length > 0) throw new Error(`acknowledged and lost: ${lost.join(", ")}`);
  await computer.run(process.execPath, agent);
  const all = await entries(computer);
  const distinct = new Set(all.map(({ target }) => target.id));
  if (distinct.size !== all.length) throw new Error("a delivery was recorded twice");
  say(
    "restart",
    `all ${KILL_AFTER} are in the trail; it goes on to ${all.length}, none of them twice`,
  );

  await computer.codespar("audit", "export", "--output", "bundle");
  const keys = JSON.parse(await computer.codespar("audit", "keys", "--json"));
  await writeFile(join(computer.folder, "keys.txt"), keys.map(({ vkey }) => vkey).join("\n"));
  say("export", "codespar audit export --output bundle");

  const { seq, outcome } = all.find(({ target }) => target.id === TARGET);
  const who = await falsify(computer, seq);
  say("attack", `${who}: entry ${seq} says "success" from now on; sealed was "${outcome}"`);
  const verify = ["audit", "verify", "--trusted-key", "keys.txt", "--json"];
  const { status, stdout, stderr } = computer.start(process.execPath, cli, ...verify);
  if (status !== 7) throw new Error(`the attack wasn't noticed: status ${status}\n${stderr}`);
  say("verify", `codespar audit verify: status ${status}`);
  say("", JSON.parse(stdout).firstFailure.message);
  await stranger(computer, seq);
}

/** Runs the agent until so many deliveries are acknowledged, and kills it in the middle of the next ones. */
async function killedAgent({ folder, env }) {
  const child = spawn(process.execPath, [agent], {
    cwd: folder,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  const acknowledged = [];
  for await (const key of createInterface({ input: child.stdout })) {
    acknowledged.push(key);
    if (acknowledged.length === KILL_AFTER) break;
  }
  child.kill("SIGKILL");
  const [, signal] = await ended;
  if (signal !== "SIGKILL") throw new Error("the agent ended before it could be killed");
  return acknowledged;
}

/** What the agent did, as the trail has it. */
async function entries({ codespar }) {
  const found = await codespar("audit", "list", "--action", "github.*", "--all", "--json");
  return JSON.parse(found).items;
}

/** In the line of the entry. */
async function asRoot({ folder }, seq) {
  const log = join(folder, ".codespar", "orgs", "default", "audit_log.jsonl");
  const lines = (await readFile(log, "utf8")).split("\n");
  lines[seq] = lines[seq].replace('"outcome":"denied"', '"outcome":"success"');
  await writeFile(log, lines.join("\n"));
  return "as root";
}

/** Who can switch off what protects the table. */
async function asSuperuser({ env }, seq) {
  const { Client } = createRequire(join(root, "tooling", "package.json"))("pg");
  const client = new Client({ connectionString: env.DATABASE_URL });
  await client.connect();
  await client.query("ALTER TABLE audit_log DISABLE TRIGGER ALL");
  await client.query("UPDATE audit_log SET outcome = 'success' WHERE seq = $1", [seq]);
  await client.end();
  return "as superuser";
}

/** Does what the bundle's README says, and looks the entry up. */
async function stranger(computer, seq) {
  if (spawnSync("sh", ["-c", "command -v jq openssl"]).status !== 0)
    return say("stranger", "left out: install jq and openssl to see it");
  const bundle = { ...computer, folder: join(computer.folder, "bundle") };
  const readme = await readFile(join(bundle.folder, "README.md"), "utf8");
  const [, commands] = /^ {4}(sed -n .* \| sh)$/m.exec(readme);
  const { stdout, stderr } = machine(bundle.folder, {}).start("sh", "-c", commands);
  const lines = stdout.trim().split("\n");
  const keys = (await readFile(join(computer.folder, "keys.txt"), "utf8")).split("\n");
  const unknown = lines.filter((line) => !line.endsWith(": ok") && !keys.includes(line));
  if (unknown.length > 0 || stderr !== "") throw new Error(`the bundle: ${stdout}${stderr}`);
  const look = `cat entries/*.jsonl | sed -n ${seq + 1}p | jq -r .outcome`;
  const outcome = await machine(bundle.folder, {}).run("sh", "-c", look);
  say(
    "stranger",
    "the README in the bundle, with nothing but sed, sha256sum, jq, openssl and the like:",
  );
  say("", `${lines.length - keys.length} checks ok, and its entry ${seq} says "${outcome.trim()}"`);
}

/** A folder and an environment to run commands in. */
function machine(folder, env) {
  const options = { cwd: folder, env: cleanEnvironment(folder, env), encoding: "utf8" };
  const start = (command, ...args) =>
    spawnSync(command, args, { ...options, maxBuffer: 2 ** 28, timeout: 60_000 });
  async function run(command, ...args) {
    const { status, stdout, stderr } = start(command, ...args);
    if (status !== 0) throw new Error(`${command} ${args.join(" ")}: status ${status}\n${stderr}`);
    return stdout;
  }
  const codespar = (...args) => run(process.execPath, cli, ...args);
  return { folder, env: options.env, start, run, codespar };
}

function say(what, text) {
  console.log(`  ${what.padEnd(9)} ${text}`);
}
