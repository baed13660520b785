/**
 * The `db:` scripts of packages/core, on a fresh clone too. DATABASE_URL comes from the environment or from `.env` at the repository's root.
 *
 *     node scripts/db.mjs generate|migrate|studio|check [arguments of drizzle-kit or vitest]
 *
 * generate: writes a migration for what changed in schema.ts. migrate: brings the database up to date, creating it where it is missing.
 * studio: browses the rows. check: whether migrations are consistent, and make the schema that is committed (`-- -u` accepts a new one).
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { root, setUp } from "./setup.mjs";

const core = join(root, "packages", "core");
const [command, ...rest] = process.argv.slice(2);
const commands = { generate, migrate, studio, check };

const run = Object.hasOwn(commands, command ?? "") ? commands[command] : undefined;
if (run === undefined) fail(`say one of: ${Object.keys(commands).join(", ")}`);
await setUp("packages/core", { allowTypeErrors: command === "generate" });
if (existsSync(join(root, ".env"))) process.loadEnvFile(join(root, ".env"));
await run();

function generate() {
  drizzleKit("generate");
}

async function migrate() {
  const databaseUrl = requireUrl();
  const { migrate: bringUpToDate } = await import(
    pathToFileURL(join(core, "dist", "index.js")).href
  );
  const onMigration = (name) => process.stdout.write(`applying ${name}\n`);
  try {
    const { applied, total } = await bringUpToDate({ databaseUrl, create: true, onMigration });
    process.stdout.write(
      applied.length === 0
        ? `up to date: ${total} migrations\n`
        : `applied ${applied.length} of ${total} migrations\n`,
    );
  } catch (error) {
    fail(error.message);
  }
}

async function studio() {
  requireUrl();
  const { createStorage } = await import(pathToFileURL(join(core, "dist", "index.js")).href);
  try {
    const storage = createStorage();
    const { reason } = await storage.health();
    await storage.close();
    // drizzle-kit itself would run on, and show nothing.
    if (reason) fail(reason);
  } catch (error) {
    fail(error.message);
  }
  drizzleKit("studio");
}

function check() {
  drizzleKit("check", []);
  const vitest = join(
    dirname(createRequire(import.meta.url).resolve("vitest/package.json")),
    "vitest.mjs",
  );
  finish(
    spawnSync(
      process.execPath,
      [vitest, "run", "packages/core/test/postgres/schema-dump.test.ts", ...rest],
      { cwd: root, stdio: "inherit" },
    ),
  );
}

function requireUrl() {
  const url = process.env.DATABASE_URL;
  if (!url)
    fail(
      "set DATABASE_URL, in the environment or in .env: postgres://user:password@host:5432/database",
    );
  return url;
}

function drizzleKit(subcommand, args = rest) {
  const require = createRequire(join(core, "package.json"));
  const bin = join(dirname(require.resolve("drizzle-kit")), "bin.cjs");
  finish(spawnSync(process.execPath, [bin, subcommand, ...args], { cwd: core, stdio: "inherit" }));
}

function finish({ status, error }) {
  if (error) fail(error.message);
  if (status !== 0) process.exit(status ?? 1);
}

function fail(message) {
  process.stderr.write(`codespar: ${message}\n`);
  process.exit(1);
}
