import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** What tells one process of one machine's one run from all others. */
export interface ProcessIdentity {
  /** The kernel's id of this boot and of the container's process numbers, or the host's name where there is none. */
  readonly bootId: string;
  readonly pid: number;
  /** When the process started, in the kernel's ticks since boot, or `null` where that can't be read. */
  readonly startTime: string | null;
}

/** This process. */
export function currentProcess(): ProcessIdentity {
  return { bootId: currentBoot(), pid: process.pid, startTime: startTimeOf(process.pid) };
}

/** Whether a process of this boot still runs: not gone, and not another one that was given its number. */
export function isRunning(identity: ProcessIdentity): boolean {
  try {
    process.kill(identity.pid, 0);
  } catch (error) {
    // EPERM: there is one, of another user.
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  const startTime = startTimeOf(identity.pid);
  return identity.startTime === null || startTime === null || startTime === identity.startTime;
}

function currentBoot(): string {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return `${boot} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return `host ${hostname()}`;
  }
}

function startTimeOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The command in parentheses may hold anything; field 22 is the 20th after it.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  } catch {
    return null;
  }
}
