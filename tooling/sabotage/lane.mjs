/**
 * A process of `run.mjs`, in a copy of the checkout: breaks the code by one patch after the other and runs each one's tests without and with
 * it. All in one vitest, so that its start, the transformed sources and PostgreSQL are shared.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createVitest } from "vitest/node";

const copy = process.cwd();
let output = [];
let runs = 0;

/** Stops at the first failure: one red test is enough. */
const reporter = {
  onTestModuleCollected(module) {
    for (const error of module.errors()) output.push(`${module.moduleId}: ${error.message}`);
  },
  onTestCaseResult(test) {
    const { state, errors } = test.result();
    if (state !== "failed") return;
    for (const { message } of errors) output.push(`${test.fullName}: ${message}`);
    void vitest.cancelCurrentRun("test-failure");
  },
};
const vitest = await createVitest("test", {
  root: copy,
  watch: false,
  maxWorkers: 1,
  reporters: [reporter],
});

process.on("message", async (patch) => {
  try {
    process.send(await judge(patch));
  } catch (error) {
    process.send({ problem: error.stack });
  }
});
process.on("disconnect", () => vitest.exit(true));
process.send({ ready: true });

/** @returns `detected`, or the `problem` that keeps it from being so */
async function judge(patch) {
  const sound = await runTests(patch);
  if (sound.failed > 0 || sound.passed === 0)
    return { problem: `its tests are red, or none, without it:\n${sound.output}` };
  const applied = git(["apply", "--whitespace=nowarn", patch.file]);
  if (applied.status !== 0) return { problem: `it doesn't apply any more: ${applied.stderr}` };
  invalidate(patch);
  const broken = await runTests(patch);
  const undone = git(["apply", "--whitespace=nowarn", "--reverse", patch.file]);
  if (undone.status !== 0) throw new Error(`it can't be taken back: ${undone.stderr}`);
  invalidate(patch);
  return { detected: broken.failed > 0, by: broken.output.split("\n")[0] };
}

async function runTests({ tests, named }) {
  output = [];
  // What one run prepares in the database isn't the next one's: a patch may have changed it. The first one's name comes with its server.
  const run = process.env.CODESPAR_TEST_RUN?.replace(/_\d+$/, "");
  runs += 1;
  if (run !== undefined) process.env.CODESPAR_TEST_RUN = `${run}_${runs}`;
  if (named === undefined) vitest.resetGlobalTestNamePattern();
  else vitest.setGlobalTestNamePattern(new RegExp(named));
  const files = tests.map((test) => join(copy, test));
  const specifications = (await vitest.globTestSpecifications(tests)).filter(({ moduleId }) =>
    files.includes(moduleId),
  );
  if (specifications.length !== files.length) throw new Error(`no such tests: ${tests.join(" ")}`);
  const { testModules, unhandledErrors } = await vitest.runTestSpecifications(specifications);
  const ran = testModules.filter(({ moduleId }) => files.includes(moduleId));
  const results = ran.flatMap(({ children }) =>
    [...children.allTests()].map((test) => test.result().state),
  );
  const broken = ran.filter((module) => module.errors().length > 0).length + unhandledErrors.length;
  for (const error of unhandledErrors) output.push(String(error?.message ?? error));
  const count = (state) => results.filter((each) => each === state).length;
  return { passed: count("passed"), failed: count("failed") + broken, output: output.join("\n") };
}

/** The files that a patch changes, which are to be read anew. */
function invalidate({ file }) {
  for (const [, path] of readFileSync(file, "utf8").matchAll(/^\+\+\+ b\/(.+)$/gm))
    vitest.invalidateFile(join(copy, path));
}

function git(args) {
  // Outside of any repository, so that git takes paths as they stand in the patch.
  const env = { ...process.env, GIT_CEILING_DIRECTORIES: dirname(copy) };
  return spawnSync("git", args, { cwd: copy, encoding: "utf8", env });
}
