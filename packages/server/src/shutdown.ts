import type { Logger } from "pino";
import type { App } from "./app-types.ts";

/** Milliseconds that requests in flight are given to finish; below what platforms wait before they kill. */
const graceMs = 10_000;

/**
 * Makes the function that stops a server: no new connections, requests in flight finish, after the grace their connections
 * are cut, and what they work on is let go of last. Calling it again gives the same promise.
 *
 * @param letGo - of the storage, and of what works on it beside the requests
 */
export function closeWithin(
  app: App,
  logger: Logger,
  letGo: () => Promise<void>,
): () => Promise<void> {
  let closing: Promise<void> | undefined;
  return () => {
    closing ??= close(app, logger, letGo);
    return closing;
  };
}

async function close(app: App, logger: Logger, letGo: () => Promise<void>): Promise<void> {
  const overdue = setTimeout(() => {
    logger.warn({ graceMs }, "cutting connections whose requests didn't finish");
    app.server.closeAllConnections();
  }, graceMs);
  try {
    await app.close();
  } finally {
    clearTimeout(overdue);
    await letGo();
  }
}

/** Milliseconds after which a process that should have ended by itself is ended. */
const lingerMs = 2_000;

/** npm hands on the Ctrl-C that the terminal has delivered already; a person takes longer for the second one. */
const echoMs = 500;

/** Stops on the first SIGTERM or SIGINT; a second one, after a moment, ends the process at once. */
export function stopOnSignals(
  close: () => Promise<void>,
  logger: Logger,
  say: (line: string) => void,
): void {
  let stoppingSince: number | undefined;
  const stop = (signal: NodeJS.Signals) => {
    if (stoppingSince !== undefined) {
      if (performance.now() - stoppingSince < echoMs) return;
      leave(signal === "SIGINT" ? 130 : 143, signal);
    }
    stoppingSince = performance.now();
    say(`${signal}: finishing what is in flight; again to stop at once`);
    logger.info({ signal }, "stopping");
    close().then(
      () => end(0, signal),
      (error: unknown) => {
        logger.error({ err: error }, "stopping failed");
        end(1, signal);
      },
    );
  };
  process.on("SIGTERM", stop).on("SIGINT", stop);
}

function end(code: number, signal: NodeJS.Signals): void {
  process.exitCode = code;
  setTimeout(() => leave(code, signal), lingerMs).unref();
}

/** Node waits for calls to the file system before it exits; one to a dead network drive never returns, and then only the signal itself ends it. */
function leave(code: number, signal: NodeJS.Signals): void {
  if (!process.getActiveResourcesInfo().some((name) => name.startsWith("FSReq")))
    process.exit(code);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}
