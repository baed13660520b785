import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";

/** A call to the operating system that succeeded. */
export interface SystemCall {
  readonly name: string;
  /** What strace shows between the parentheses. */
  readonly args: string;
  /** Where in the order of all beginnings and ends it began, and ended. */
  readonly begin: number;
  readonly end: number;
}

/** Whether strace can be run here. */
export function hasStrace(): boolean {
  return spawnSync("strace", ["-V"]).status === 0;
}

const traced =
  "write,pwrite64,fdatasync,fsync,openat,?rename,?renameat,?renameat2,?unlink,?unlinkat,?mkdir,?mkdirat";

/**
 * Runs a TypeScript program under strace.
 *
 * @param log - where strace may write
 */
export async function systemCalls(log: string, ...program: string[]): Promise<SystemCall[]> {
  const command = [process.execPath, "--import", "tsx", ...program];
  // A descriptor is shown with its path: 20</folder/file>.
  const { stderr } = spawnSync(
    "strace",
    ["-f", "-y", "-e", `trace=${traced}`, "-o", log, ...command],
    {
      encoding: "utf8",
    },
  );
  if (stderr !== "") throw new Error(stderr);
  return parse(await readFile(log, "utf8"));
}

/** strace tells of a call in two lines when others come in between. */
function parse(log: string): SystemCall[] {
  const begun = new Map<string, { text: string; begin: number }>();
  const calls: SystemCall[] = [];
  for (const [at, line] of log.split("\n").entries()) {
    const [, pid = "", text = ""] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (text.endsWith("<unfinished ...>")) {
      begun.set(pid, { text: text.replace(/ ?<unfinished ...>$/, ""), begin: at });
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(text);
    const first = resumed === null ? { text: "", begin: at } : begun.get(pid);
    const whole = resumed === null ? text : `${first?.text ?? ""}${resumed[1] ?? ""}`;
    const [, name, args = ""] = /^(\w+)\((.*)\) += \d+/.exec(whole) ?? [];
    if (name !== undefined) calls.push({ name, args, begin: first?.begin ?? at, end: at });
  }
  return calls;
}
