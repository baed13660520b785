import { writeFileSync } from "node:fs";
import type { Reporter, SerializedError, TestCase, TestModule } from "vitest/node";

/** What one run of the tests came to, as JSON in the file that `CODESPAR_TEST_TALLY` names. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  /** Full names, with the reason where the test gave one. */
  readonly skipped: readonly string[];
}

/** Counts tests, failed files and errors that belong to no test. Vitest's own JSON leaves out why a test was skipped. */
export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const count = (state: "passed" | "failed") =>
      tests.filter((each) => each.result().state === state).length;
    const broken = modules.filter((module) => module.errors().length > 0).length;
    const tally: Tally = {
      passed: count("passed"),
      failed: count("failed") + broken + unhandled.length,
      skipped: tests
        .filter((each) => !["passed", "failed"].includes(each.result().state))
        .map(named),
    };
    const path = process.env["CODESPAR_TEST_TALLY"];
    if (path) writeFileSync(path, JSON.stringify(tally));
  }
}

function named(skipped: TestCase): string {
  const result = skipped.result();
  const reason = result.state === "skipped" && result.note ? `: ${result.note}` : "";
  return `${skipped.module.relativeModuleId} > ${skipped.fullName}${reason}`;
}
