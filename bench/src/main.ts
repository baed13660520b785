import { mkdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Cleanup } from "./harness/cleanup.ts";
import { describeEnvironment, type Environment } from "./harness/environment.ts";
import { isMet, markdown, type Row } from "./harness/report.ts";
import { type Options, readOptions, usage } from "./options.ts";
import { openPostgres, type PostgresTarget } from "./postgres/target.ts";
import { scenarios } from "./scenarios/index.ts";
import type { Context, Scenario } from "./scenarios/scenario.ts";

const results = fileURLToPath(new URL("../results/", import.meta.url));

/** Everything that a run found, as it is written to `results/latest.json`. */
interface Report {
  readonly startedAt: string;
  readonly options: Options;
  readonly environment: Environment;
  readonly postgres: string | null;
  readonly rows: readonly Row[];
  /** Scenarios that broke, and assertions that don't hold. */
  readonly failures: readonly string[];
}

process.exitCode = await main();

async function main(): Promise<number> {
  let options: Options;
  let chosen: readonly Scenario[];
  try {
    options = readOptions(process.argv.slice(2), process.env);
    chosen = choose(options.only);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${usage}`);
    return 2;
  }
  const report = await measure(options, chosen);
  mkdirSync(results, { recursive: true });
  writeFileSync(join(results, "latest.json"), `${JSON.stringify(report, null, 2)}\n`);
  print(report);
  return report.failures.length === 0 ? 0 : 1;
}

function choose(only: readonly string[]): readonly Scenario[] {
  const unknown = only.filter((name) => !scenarios.some((scenario) => scenario.name === name));
  const names = scenarios.map(({ name, about }) => `  ${name.padEnd(12)} ${about}`).join("\n");
  if (unknown.length > 0) {
    throw new TypeError(`no scenario ${unknown.join(", ")}; there are:\n${names}`);
  }
  return only.length === 0 ? scenarios : scenarios.filter(({ name }) => only.includes(name));
}

async function measure(options: Options, chosen: readonly Scenario[]): Promise<Report> {
  const startedAt = new Date().toISOString();
  await using cleanup = new Cleanup();
  const folders = await mkdtemp(join(options.directory ?? tmpdir(), "codespar-bench-"));
  cleanup.defer(() => rm(folders, { recursive: true, force: true }));
  let target: Promise<PostgresTarget> | undefined;
  const environment = await describeEnvironment(folders);
  const rows: Row[] = [];
  const failures: string[] = [];
  for (const scenario of chosen) {
    const context: Context = {
      options,
      postgres: () => (target ??= openPostgres(options.databaseUrl, cleanup)),
      folder: () => mkdtemp(join(folders, `${scenario.name}-`)),
      progress: (message) => console.error(`${scenario.name}: ${message}`),
    };
    try {
      rows.push(...(await scenario.run(context)));
    } catch (error) {
      // The others are worth having all the same.
      const reason = error instanceof Error ? error.stack : undefined;
      failures.push(`${scenario.name}: ${reason ?? String(error)}`);
    }
  }
  failures.push(...rows.flatMap(unmet));
  const postgres = (await target?.catch(() => null))?.version ?? null;
  return { startedAt, options, environment, postgres, rows, failures };
}

function print({ environment, options, postgres, rows, failures }: Report): void {
  const { cpu, cores, memoryGiB, system, node, syncMs } = environment;
  console.log(
    [
      `${cores} × ${cpu}, ${memoryGiB} GiB, ${system}, Node ${node}${postgres === null ? "" : `, ${postgres}`}`,
      `append + fdatasync ${syncMs.toFixed(3)} ms; medians of ${options.rounds} interleaved rounds of ${options.legMs} ms`,
      ...(options.quick ? ["", "QUICK: shows that everything runs; the figures mean little"] : []),
      "",
      markdown(rows),
    ].join("\n"),
  );
  for (const failure of failures) console.error(`\nFAILED: ${failure}`);
}

/** Assertions that don't hold. Missed targets show in the table and fail nothing: machines differ. */
function unmet({ measure, callers, checks }: Row): string[] {
  return checks
    .filter((check) => check.kind === "assertion" && !isMet(check))
    .map(
      ({ label, value, target }) => `${measure}, ${callers} callers: ${value} ${label} (${target})`,
    );
}
