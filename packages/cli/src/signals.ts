import { exitCodes } from "./exit-codes.ts";

/** How long a command that was interrupted may take to let go of its storage, in milliseconds. */
const graceMs = 2000;

let interruption: AbortController | undefined;

/**
 * From here on Ctrl-C and SIGTERM fire the returned signal, so that the command ends in order and says what became of it. A second
 * one ends the process at once.
 */
export function abortOnSignals(): AbortSignal {
  interruption ??= listening(new AbortController());
  return interruption.signal;
}

function listening(controller: AbortController): AbortController {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      process.exitCode = exitCodes[signal === "SIGINT" ? "interrupted" : "terminated"];
      controller.abort();
      setTimeout(() => process.exit(), graceMs).unref();
    });
  }
  return controller;
}
