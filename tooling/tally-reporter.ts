import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { Reporter, SerializedError, TestCase, TestModule } from "vitest/node";

/** What one run of the tests came to, as JSON in the file that `CODESPAR_TEST_TALLY` names. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  /** What failed, with the first line of its error: names of tests and files, and errors that belong to none. */
  readonly failures: readonly string[];
  /** Full names, with the reason where the test gave one. */
  readonly skipped: readonly string[];
}

/** Counts tests, failed files and errors that belong to no test. Vitest's own JSON leaves out why a test was skipped. */
export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const failures = [
      ...tests
        .filter((each) => each.result().state === "failed")
        .map((each) => because(nameOf(each), each.result().errors)),
      ...modules
        .filter((module) => module.errors().length > 0)
        .map((module) => because(module.relativeModuleId, module.errors())),
      ...unhandled.map((error) => because("outside of the tests", [error])),
    ];
    const tally: Tally = {
      passed: tests.filter((each) => each.result().state === "passed").length,
      failed: failures.length,
      failures,
      skipped: tests
        .filter((each) => !["passed", "failed"].includes(each.result().state))
        .map(named),
    };
    const path = process.env["CODESPAR_TEST_TALLY"];
    if (path) writeFileSync(path, JSON.stringify(tally));
  }
}

/** Adds a test that only the end of the run decides. @param problems - why it failed, if it did */
export function addToTally(name: string, problems: readonly string[]): void {
  const path = process.env["CODESPAR_TEST_TALLY"];
  if (!path || !existsSync(path)) return;
  const tally = JSON.parse(readFileSync(path, "utf8")) as Tally;
  const [passed, failed] = problems.length === 0 ? [1, 0] : [0, 1];
  const added: Tally = {
    ...tally,
    passed: tally.passed + passed,
    failed: tally.failed + failed,
    failures: [...tally.failures, ...problems.map((problem) => `${name}: ${problem}`)],
  };
  writeFileSync(path, JSON.stringify(added));
}

function nameOf(test: TestCase): string {
  return `${test.module.relativeModuleId} > ${test.fullName}`;
}

function because(name: string, errors: readonly { readonly message?: string }[] | undefined) {
  const [line] = (errors?.[0]?.message ?? "").split("\n");
  return line ? `${name}: ${line}` : name;
}

function named(skipped: TestCase): string {
  const result = skipped.result();
  const reason = result.state === "skipped" && result.note ? `: ${result.note}` : "";
  return `${nameOf(skipped)}${reason}`;
}
