import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { agentId } from "../harness/memory-store.ts";
import { memoryValue } from "../harness/records.ts";
import type { Statement } from "./statement.ts";

const run = promisify(execFile);

/** Why its figures are missing where the program isn't installed. */
export const PGBENCH_MISSING =
  "pgbench not installed: apt-get install postgresql, or put pgbench on the PATH";

/** The path of `pgbench`: from the PATH, else the newest of Debian's. */
export function findPgbench(path = process.env["PATH"] ?? ""): string | undefined {
  const debian = "/usr/lib/postgresql";
  const versions = existsSync(debian)
    ? readdirSync(debian).sort((a, b) => Number(b) - Number(a))
    : [];
  return [...path.split(delimiter), ...versions.map((version) => join(debian, version, "bin"))]
    .map((folder) => join(folder, "pgbench"))
    .find((file) => existsSync(file));
}

/** PostgreSQL's own load generator, in C: what the server gives at most to as many connections. */
export class Pgbench implements Disposable {
  readonly #program: string;
  readonly #url: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "codespar-pgbench-"));

  constructor(program: string, url: string) {
    this.#program = program;
    this.#url = url;
  }

  /**
   * Runs one statement again and again on random keys.
   *
   * @param durationMs - rounded up to whole seconds, which is what pgbench takes
   * @returns statements per second, connecting not counted
   */
  async perSecond(
    statement: Statement,
    keys: number,
    connections: number,
    durationMs: number,
  ): Promise<number> {
    const script = join(this.#folder, "script.sql");
    writeFileSync(script, `\\set key random(0, ${keys - 1})\n${statement.script.trim()};\n`);
    const variables = {
      org: "bench",
      agent: agentId,
      value: JSON.stringify(memoryValue(1)),
      version: "01890a5d-ac96-774b-bcce-b302099a8057",
    };
    const { stdout } = await run(this.#program, [
      ...["--no-vacuum", "--protocol=prepared", `--file=${script}`],
      ...[`--client=${connections}`, `--jobs=${Math.min(connections, 2)}`],
      `--time=${Math.ceil(durationMs / 1000)}`,
      ...Object.entries(variables).map(([name, value]) => `--define=${name}=${value}`),
      this.#url,
    ]);
    const found = /^tps = ([\d.]+)/m.exec(stdout)?.[1];
    if (found === undefined) throw new Error(`pgbench printed no tps:\n${stdout}`);
    return Number(found);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
