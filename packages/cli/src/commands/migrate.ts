import { Argument, type Command } from "commander";
import { contextOf } from "../context.ts";
import { usage } from "../failure.ts";
import { withExamples } from "../help.ts";
import { jsonText, note, print } from "../output.ts";

const actions = ["up", "status", "plan"] as const;

/** `codespar migrate [up|status|plan]` */
export function addMigrate(program: Command): void {
  const command = program
    .command("migrate")
    .description("bring the PostgreSQL database of DATABASE_URL up to date")
    .addArgument(
      new Argument(
        "[action]",
        "up applies what is pending; status lists what is applied and pending; plan prints the pending SQL",
      )
        .choices(actions)
        .default("up"),
    )
    .option("--create", "with up: create the database when it is missing")
    .action(migrateDatabase);
  withExamples(command, "codespar migrate", "codespar migrate --create", "codespar migrate status");
}

async function migrateDatabase(
  action: (typeof actions)[number],
  flags: { create?: true },
  command: Command,
): Promise<void> {
  const { json } = contextOf(command);
  const databaseUrl = await urlToMigrate();
  switch (action) {
    case "up":
      return up(databaseUrl, flags.create === true, json);
    case "status":
      return status(databaseUrl, json);
    case "plan":
      return plan(databaseUrl, json);
  }
}

async function urlToMigrate(): Promise<string> {
  const { storageTarget } = await import("@codespar/core");
  const target = storageTarget();
  if (target.backend === "postgres") return target.databaseUrl;
  throw usage(
    "DATABASE_URL is not set, and files need no migrations. Set it to postgres://user:password@host:5432/database.",
  );
}

async function up(databaseUrl: string, create: boolean, json: boolean): Promise<void> {
  const { migrate } = await import("@codespar/core");
  const onMigration = (name: string) => note(`applying ${name}`);
  const result = await migrate({ databaseUrl, create, onMigration });
  if (json) return print(jsonText(result));
  const { applied, total } = result;
  await print(
    applied.length === 0
      ? `up to date (${total} applied)`
      : `applied ${applied.length}, now up to date (${total} applied)`,
  );
}

async function status(databaseUrl: string, json: boolean): Promise<void> {
  const { migrationStatus } = await import("@codespar/core");
  const result = await migrationStatus({ databaseUrl });
  if (json) return print(jsonText(result));
  for (const name of result.applied) await print(`applied  ${name}`);
  for (const name of result.pending) await print(`pending  ${name}`);
  if (result.pending.length > 0) note("To apply what is pending: codespar migrate");
}

async function plan(databaseUrl: string, json: boolean): Promise<void> {
  const { migrationPlan } = await import("@codespar/core");
  const pending = await migrationPlan({ databaseUrl });
  if (json) return print(jsonText({ pending }));
  for (const { name, sql } of pending) await print(`-- ${name}\n${sql.trim()}\n`);
  if (pending.length === 0) note("Nothing is pending.");
}
