/**
 * `npm run test:sabotage`: breaks the code on purpose, one committed patch at a time, and shows that the suite notices each. Works in a copy of
 * the checkout, so that a run that is broken off leaves nothing broken behind.
 *
 *     node tooling/sabotage/run.mjs [NAME ...]
 *
 * A patch is a unified diff whose head says, in lines of their own, `Breaks: …` (what it takes away) and `Tests: …` (the test files that must turn
 * red, separated by spaces). A patch that doesn't apply any more is a failure, and so are tests that are red without it.
 */
import { spawnSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const here = fileURLToPath(new URL(".", import.meta.url));
const testTimeoutMs = 10 * 60 * 1000;

const wanted = process.argv.slice(2);
const patches = readdirSync(here)
  .filter((file) => file.endsWith(".patch"))
  .filter((file) => wanted.length === 0 || wanted.includes(file.replace(".patch", "")))
  .sort()
  .map(readPatch);
if (patches.length === 0) fail(`no patch is named ${wanted.join(" ")}`);

const copy = mkdtempSync(join(tmpdir(), "codespar-sabotage-"));
process.on("exit", () => rmSync(copy, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

copyCheckout();
const tests = [...new Set(patches.flatMap((patch) => patch.tests))];
say(`without a patch: ${tests.length} test files`);
const whole = runTests(tests);
if (whole.failed > 0 || whole.passed === 0) {
  process.stderr.write(whole.output);
  fail("the tests are red, or none, without a patch: mend them first");
}
say(`without a patch: ${whole.passed} passed`);

const missed = patches.filter((patch) => !isDetected(patch));
say(`${patches.length - missed.length} of ${patches.length} detected`);
for (const { name, breaks } of missed) say(`not detected: ${name} (${breaks})`);
process.exit(missed.length === 0 ? 0 : 1);

function isDetected({ name, file, breaks, tests }) {
  const applied = git(["apply", "--whitespace=nowarn", file]);
  if (applied.status !== 0) {
    say(`${name}: doesn't apply any more: ${applied.stderr.trim()}`);
    return false;
  }
  // One red test is enough.
  const { failed, output } = runTests(tests, ["--bail=1"]);
  const undone = git(["apply", "--whitespace=nowarn", "--reverse", file]);
  if (undone.status !== 0) fail(`${name} can't be taken back: ${undone.stderr.trim()}`);
  say(`${name}: ${breaks}: ${failed > 0 ? `detected` : "NOT DETECTED"}`);
  if (failed === 0) process.stderr.write(output);
  return failed > 0;
}

function readPatch(name) {
  const file = join(here, name);
  const head = readFileSync(file, "utf8").split("\ndiff ")[0] ?? "";
  const field = (key) => new RegExp(`^${key}: (.+)$`, "m").exec(head)?.[1];
  const [breaks, list] = [field("Breaks"), field("Tests")];
  if (breaks === undefined || list === undefined)
    fail(`${name} needs the lines "Breaks: …" and "Tests: …"`);
  return { name: name.replace(".patch", ""), file, breaks, tests: list.split(/\s+/) };
}

/** What git knows and what it would add; dependencies are linked, but for the workspaces, which must be the copy's own. */
function copyCheckout() {
  const listed = spawnSync(
    "git",
    ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    { cwd: root, encoding: "utf8" },
  );
  if (listed.status !== 0) fail(`git ls-files failed: ${listed.stderr}`);
  for (const path of listed.stdout.split("\0").filter(Boolean)) {
    mkdirSync(dirname(join(copy, path)), { recursive: true });
    cpSync(join(root, path), join(copy, path), { force: true });
  }
  linkModules("node_modules");
  for (const folder of [
    "bench",
    "tooling",
    ...readdirSync(join(root, "packages")).map((name) => join("packages", name)),
  ]) {
    linkModules(join(folder, "node_modules"));
  }
}

function linkModules(folder) {
  const names = readFolder(join(root, folder));
  if (names.length > 0) mkdirSync(join(copy, folder), { recursive: true });
  for (const name of names) {
    if (name === ".vite" || name === ".cache" || name === ".vitest") continue;
    const isWorkspaces = name === "@codespar" || name === "codespar";
    // npm's own links to the workspaces are relative: copied as they are, they lead into the copy.
    if (isWorkspaces)
      cpSync(join(root, folder, name), join(copy, folder, name), {
        recursive: true,
        verbatimSymlinks: true,
      });
    else symlinkSync(join(root, folder, name), join(copy, folder, name));
  }
}

function readFolder(folder) {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (error.code === "ENOENT") return [];
    throw error;
  }
}

function runTests(files, options = []) {
  const report = join(copy, "sabotage-report.json");
  rmSync(report, { force: true });
  const args = [
    "node_modules/vitest/vitest.mjs",
    "run",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
    ...options,
    ...files,
  ];
  const ran = spawnSync(process.execPath, args, {
    cwd: copy,
    encoding: "utf8",
    timeout: testTimeoutMs,
    maxBuffer: 64 * 1024 * 1024,
  });
  const output = `${ran.stdout}${ran.stderr}`;
  try {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(
      readFileSync(report, "utf8"),
    );
    // A file that can't even be loaded has no failed test.
    const broken = testResults.filter(
      (result) => result.status === "failed" && result.assertionResults.length === 0,
    ).length;
    return { passed: numPassedTests, failed: numFailedTests + broken, output };
  } catch {
    process.stderr.write(output);
    return fail("vitest left no report; its output is above");
  }
}

function git(args) {
  // Outside of any repository, so that git takes paths as they stand in the patch.
  return spawnSync("git", args, {
    cwd: copy,
    encoding: "utf8",
    env: { ...process.env, GIT_CEILING_DIRECTORIES: dirname(copy) },
  });
}

function say(message) {
  process.stdout.write(`sabotage: ${message}\n`);
}

function fail(message) {
  say(message);
  process.exit(1);
}
