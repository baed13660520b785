import type { SingleBar as Bar } from "cli-progress";
import { note } from "./output.ts";

/** Shows on standard error how far a long command is: a bar on a terminal, now and then a line elsewhere. */
export interface Progress {
  update(done: number, total: number): void;
  stop(): void;
}

const linesEveryMs = 2000;

/** Progress of something named by a participle, for example `moving records`. Nothing shows before the first update. */
export async function progressOf(what: string): Promise<Progress> {
  return process.stderr.isTTY ? bar(what) : lines(what);
}

async function bar(what: string): Promise<Progress> {
  const { Presets, SingleBar } = await import("cli-progress");
  let shown: Bar | undefined;
  return {
    update(done, total) {
      if (shown === undefined) {
        const format = `${what} {bar} {percentage}% | {value}/{total} | {eta_formatted} left`;
        shown = new SingleBar(
          { format, stream: process.stderr, hideCursor: true },
          Presets.shades_classic,
        );
        shown.start(total, done);
      }
      shown.setTotal(total);
      shown.update(done);
    },
    stop: () => shown?.stop(),
  };
}

function lines(what: string): Progress {
  let last = Date.now();
  return {
    update(done, total) {
      if (Date.now() - last < linesEveryMs) return;
      last = Date.now();
      note(`${what}: ${done} of ${total}`);
    },
    stop: () => undefined,
  };
}
