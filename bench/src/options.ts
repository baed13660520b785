import { parseArgs } from "node:util";

/** What a run measures, and how thoroughly. */
export interface Options {
  /** Scenarios to run; all when empty. */
  readonly only: readonly string[];
  /** Interleaved rounds of each comparison; medians are taken over them. */
  readonly rounds: number;
  /** Milliseconds of one leg: one contestant in one round. */
  readonly legMs: number;
  /** Small amounts and short legs: shows that everything works; its figures mean little. */
  readonly quick: boolean;
  /** Entries of the long trail of `proof`. */
  readonly trailEntries: number;
  /** Where the measured files go; the system's temporary folder when undefined. */
  readonly directory: string | undefined;
  /** Superuser URL of a server to measure on; a throwaway one is started when undefined. */
  readonly databaseUrl: string | undefined;
}

export const usage = `npm run bench -- [options]

  --only NAMES        scenarios, separated by commas
  --rounds N          interleaved rounds per comparison (default 5)
  --leg-ms N          milliseconds per contestant and round (default 1000)
  --quick             short legs and small amounts: checks the bench, measures little
  --trail N           entries of the long trail of \`proof\` (default 1000000)
  --dir FOLDER        where measured files go: choose the disk (default: the temporary folder)

  BENCH_DATABASE_URL  superuser URL of a PostgreSQL to measure on (default: starts one of its own)
`;

/**
 * Reads the command line and the environment.
 *
 * @throws TypeError when an option is unknown or not a number
 */
export function readOptions(args: string[], environment: NodeJS.ProcessEnv): Options {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: "string", default: "" },
      rounds: { type: "string" },
      "leg-ms": { type: "string" },
      trail: { type: "string" },
      quick: { type: "boolean", default: false },
      dir: { type: "string" },
    },
  });
  const quick = values.quick;
  return {
    only: values.only.split(",").filter((name) => name !== ""),
    rounds: positive("--rounds", values.rounds ?? (quick ? "1" : "5")),
    legMs: positive("--leg-ms", values["leg-ms"] ?? (quick ? "150" : "1000")),
    trailEntries: positive("--trail", values.trail ?? (quick ? "20000" : "1000000")),
    quick,
    directory: values.dir,
    databaseUrl: environment["BENCH_DATABASE_URL"] || undefined,
  };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new TypeError(`${name} must be a whole number from 1 on, got ${JSON.stringify(text)}`);
  }
  return value;
}
