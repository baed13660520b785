import { randomUUID } from "node:crypto";
import { open, rm } from "node:fs/promises";
import { cpus, release, totalmem, type } from "node:os";
import { join } from "node:path";
import { median } from "./statistics.ts";

/** What the figures were measured on: without it they can't be compared with anything. */
export interface Environment {
  readonly node: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  /** Median of one append of 300 bytes and its fdatasync, in milliseconds. Far below 0.05 the disk isn't one, or isn't honest. */
  readonly syncMs: number;
}

/** Looks at the machine, and at the disk below `folder`. */
export async function describeEnvironment(folder: string): Promise<Environment> {
  const [first] = cpus();
  return {
    node: process.version,
    cpu: first?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    syncMs: await syncTime(folder),
  };
}

async function syncTime(folder: string): Promise<number> {
  const path = join(folder, `probe-${randomUUID()}`);
  const file = await open(path, "wx");
  try {
    const times: number[] = [];
    for (let index = 0; index < 50; index += 1) {
      const start = performance.now();
      await file.write(Buffer.alloc(300));
      await file.datasync();
      times.push(performance.now() - start);
    }
    return median(times);
  } finally {
    await file.close();
    await rm(path);
  }
}
