import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** A run whose one test leaks: see ../whole-run.test.ts. */
export default defineConfig({
  root: fileURLToPath(new URL("../../..", import.meta.url)),
  test: {
    include: ["tooling/secrets/control/leaks.ts"],
    globalSetup: ["tooling/global-setup.ts"],
    reporters: ["default", "tooling/tally-reporter.ts"],
    pool: "forks",
  },
});
