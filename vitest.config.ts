import { defineConfig } from "vitest/config";

/** Tests import the packages' TypeScript sources, so that nothing has to be built before a run. */
const conditions = ["@codespar/source"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ["{packages,examples}/*/test/**/*.test.ts", "{bench,tooling}/**/*.test.ts"],
    globalSetup: ["tooling/global-setup.ts"],
    pool: "forks",
    maxWorkers: 2,
    sequence: { shuffle: true },
    // What is waited for ends the wait; a busy machine mustn't.
    expect: { requireAssertions: true, poll: { timeout: 10_000 } },
    restoreMocks: true,
    unstubEnvs: true,
    allowOnly: false,
    passWithNoTests: false,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
