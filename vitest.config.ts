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
    // What is waited for ends the wait; a busy machine mustn't. So none of these limits is near what a test takes.
    expect: { requireAssertions: true, poll: { timeout: 60_000 } },
    restoreMocks: true,
    unstubEnvs: true,
    allowOnly: false,
    passWithNoTests: false,
    testTimeout: 120_000,
    hookTimeout: 300_000,
  },
});
