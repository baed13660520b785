/**
 * Brings the checkout into a state in which it runs: dependencies as package-lock.json says, sources built. Does
 * nothing, in a fraction of a second, where that is so already. Node built-ins only: it runs before anything is
 * installed.
 *
 *     node scripts/setup.mjs [PROJECT] [--allow-type-errors]
 *
 * PROJECT: folder with a tsconfig.json; the whole repository by default.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

const cache = join(root, ".cache");
const lock = join(cache, "setup.lock");

/**
 * Installs and builds what is missing or out of date. Safe to run several times at once.
 *
 * @param {string} project - folder, relative to the root, whose tsconfig.json is built with what it refers to
 * @param {{ allowTypeErrors?: boolean }} [options] - allowTypeErrors: only report them; what could be built is
 */
export async function setUp(project, options = {}) {
  if (isReady(project)) return;
  await withLock(() => {
    if (!isInstalled()) install();
    if (!isBuilt(project)) build(project, options.allowTypeErrors === true);
  });
}

function isReady(project) {
  return isInstalled() && isBuilt(project);
}

/** Compares with npm's own record of what it installed, so that an `npm install` by hand counts too. */
function isInstalled() {
  const wanted = readJson("package-lock.json")?.packages ?? {};
  const present = readJson("node_modules/.package-lock.json")?.packages ?? {};
  return Object.entries(wanted).every(([path, entry]) => {
    const found = present[path];
    if (path === "") return true;
    if (found) return found.version === entry.version && found.integrity === entry.integrity;
    // Other platforms' binaries; and what the build needs, where the build was made elsewhere.
    return entry.optional === true || (entry.dev === true && isProduction());
  });
}

function isProduction() {
  return (
    process.env.NODE_ENV === "production" && existsSync(join(cache, "build-packages-cli.sha256"))
  );
}

function install() {
  say("installing dependencies (npm ci)");
  // With development dependencies whatever NODE_ENV says: the build needs them.
  const args = [
    "ci",
    "--include=dev",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--loglevel=error",
  ];
  const npm = process.env.npm_execpath;
  const [command, first] = npm?.endsWith(".js") ? [process.execPath, [npm]] : ["npm", []];
  run(
    command,
    [...first, ...args],
    "npm ci failed: is the registry reachable? Its message is above.",
  );
}

function isBuilt(project) {
  const stamp = stampFile(project);
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== sourcesHash()) return false;
  return projects(project).every((folder) =>
    existsSync(join(root, folder, "dist", ".tsbuildinfo")),
  );
}

function build(project, allowTypeErrors) {
  say("building");
  const hash = sourcesHash();
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  const { status } = spawnSync(process.execPath, [tsc, "-b", project], {
    cwd: root,
    stdio: ["ignore", 2, "inherit"],
  });
  if (status === 0) {
    writeFileSync(stampFile(project), hash);
  } else if (allowTypeErrors) {
    say("continuing in spite of the type errors above");
  } else {
    fail("the build failed: the errors are above.");
  }
}

function stampFile(project) {
  return join(
    cache,
    `build-${
      resolve(root, project)
        .slice(resolve(root).length + 1)
        .replaceAll("/", "-") || "all"
    }.sha256`,
  );
}

/** The project itself and, through its references, all that it is built from. */
function projects(project) {
  const { references = [], files } = readJson(join(project, "tsconfig.json"));
  const below = references.flatMap(({ path }) => projects(join(project, path)));
  return [...new Set(files?.length === 0 ? below : [project, ...below])];
}

/** One hash over the text of everything that a build reads. */
function sourcesHash() {
  const hash = createHash("sha256");
  for (const path of sources()) hash.update(`${path}\0`).update(readFileSync(join(root, path)));
  return hash.digest("hex");
}

function sources() {
  const groups = ["packages", "examples"];
  const folders = groups.flatMap((group) => list(group).map((name) => join(group, name)));
  folders.push("bench", "tooling");
  const inFolders = folders.flatMap((folder) => [
    ...list(folder)
      .filter((name) => name.endsWith(".ts") || name.endsWith(".json"))
      .map((name) => join(folder, name)),
    ...["src", "postgres"].flatMap((name) => filesBelow(join(folder, name))),
  ]);
  return ["tsconfig.base.json", "tsconfig.json", ...inFolders].sort();
}

function list(folder) {
  return existsSync(join(root, folder)) ? readdirSync(join(root, folder)) : [];
}

function filesBelow(folder) {
  return list(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(join(root, path)).isDirectory() ? filesBelow(path) : [path];
  });
}

/** Two `npm start` at once must not install into the same folder: the second waits for the first. */
async function withLock(work) {
  mkdirSync(cache, { recursive: true });
  for (let told = false; !takeLock(); told = true) {
    if (!told) say("waiting for another set-up of this checkout");
    await new Promise((done) => setTimeout(done, 200));
  }
  try {
    work();
  } finally {
    rmSync(lock, { force: true });
  }
}

function takeLock() {
  // Linked into place, so that whoever sees the lock also sees whose it is.
  const own = `${lock}.${process.pid}`;
  writeFileSync(own, `${process.pid} ${startTimeOf(process.pid)}`);
  try {
    linkSync(own, lock);
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  } finally {
    rmSync(own);
  }
  dropStaleLock();
  return false;
}

/** A set-up that was killed leaves its lock. Renaming lets only one waiter remove it. */
function dropStaleLock() {
  try {
    const [pid, startTime] = readFileSync(lock, "utf8").split(" ");
    if (isAlive(Number(pid)) && startTimeOf(pid) === (startTime ?? "")) return;
    renameSync(lock, `${lock}.stale`);
    rmSync(`${lock}.stale`, { force: true });
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** Tells a process from a later one with its number: the kernel's ticks since boot, empty where there is no /proc. */
function startTimeOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The command in parentheses may hold anything; field 22 is the 20th after it.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}

function run(command, args, remedy) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    // Standard output is for what the command itself has to say.
    stdio: ["ignore", 2, "inherit"],
  });
  if (error || status !== 0) fail(error ? `${remedy} (${error.message})` : remedy);
}

function readJson(path) {
  const file = join(root, path);
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
}

function say(message) {
  process.stderr.write(`codespar: ${message}\n`);
}

function fail(message) {
  say(message);
  rmSync(lock, { force: true });
  process.exit(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2);
  const [project = "."] = args.filter((argument) => !argument.startsWith("--"));
  await setUp(project, { allowTypeErrors: args.includes("--allow-type-errors") });
}
