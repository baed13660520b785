import type { Row } from "../harness/report.ts";
import type { Options } from "../options.ts";
import type { PostgresTarget } from "../postgres/target.ts";

/** What scenarios share. */
export interface Context {
  readonly options: Options;
  /** The server to measure on: started with the first use, the same for all scenarios. */
  postgres(): Promise<PostgresTarget>;
  /** An empty folder on the disk to measure, removed at the end. */
  folder(): Promise<string>;
  /** Tells the person who waits what is being measured. */
  progress(message: string): void;
}

/** One file of `scenarios/`. */
export interface Scenario {
  readonly name: string;
  readonly about: string;
  run(context: Context): Promise<readonly Row[]>;
}
