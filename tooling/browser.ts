import { type Browser, chromium, type Page } from "playwright-core";
import { findProgram } from "./programs.ts";

export type { Browser, Page };

/** Why tests in a browser are skipped where there is none; print it with the skip. */
export const CHROMIUM_MISSING = "chromium not installed: apt-get install chromium";

/** Whether a Chromium is on the PATH. For `describe.skipIf(!hasChromium())`. */
export function hasChromium(): boolean {
  return binary() !== undefined;
}

/**
 * Starts a headless Chromium that looks nothing up and calls nobody by itself. The caller closes it.
 *
 * @throws Error with {@link CHROMIUM_MISSING} when the program isn't installed
 */
export async function launchChromium(): Promise<Browser> {
  const executablePath = binary();
  if (executablePath === undefined) throw new Error(CHROMIUM_MISSING);
  return chromium.launch({
    executablePath,
    // Its sandbox refuses to run as root, which tests in containers usually are.
    chromiumSandbox: process.getuid?.() !== 0,
    args: [
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--disable-dev-shm-usage",
    ],
  });
}

function binary(): string | undefined {
  return findProgram(["chromium", "chromium-browser", "google-chrome"]);
}
