/**
 * `npm run test:sabotage`: breaks the code on purpose, one committed patch at a time, and shows that the suite notices each. Works in copies of
 * the checkout, so that a run that is broken off leaves nothing broken behind, and on two patches at a time.
 *
 *     node tooling/sabotage/run.mjs [NAME ...]
 *
 * A patch is a unified diff whose head says, in lines of their own, `Breaks: …` (what it takes away), `Tests: …` (the test files that must turn
 * red, separated by spaces), and where those hold more than it takes, `Named: …` (a regular expression for the names of the tests to run). A patch
 * that doesn't apply any more is a failure, and so are tests that are red without it.
 */
import { fork } from "node:child_process";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { copyCheckout } from "./checkout-copy.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const here = fileURLToPath(new URL(".", import.meta.url));
const patchTimeoutMs = 15 * 60 * 1000;
// On a server that was given, patched roles of one lane would be the other one's too.
const lanes = process.env.TEST_DATABASE_URL ? 1 : 2;

const wanted = process.argv.slice(2);
const patches = readdirSync(here)
  .filter((file) => file.endsWith(".patch"))
  .filter((file) => wanted.length === 0 || wanted.includes(file.replace(".patch", "")))
  .sort()
  .map(readPatch);
if (patches.length === 0) fail(`no patch is named ${wanted.join(" ")}`);

const copies = [];
process.on("exit", () => {
  for (const copy of copies) rmSync(copy, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

const waiting = [...patches];
const missed = [];
await Promise.all(Array.from({ length: Math.min(lanes, patches.length) }, runLane));
say(`${patches.length - missed.length} of ${patches.length} detected`);
for (const { name, breaks } of missed) say(`not detected: ${name} (${breaks})`);
process.exit(missed.length === 0 ? 0 : 1);

/** Takes one patch after the other, until none waits. */
async function runLane() {
  const copy = copyCheckout(root);
  copies.push(copy);
  const lane = fork(join(copy, "tooling/sabotage/lane.mjs"), { cwd: copy });
  await answerOf(lane);
  for (let patch = waiting.shift(); patch !== undefined; patch = waiting.shift()) {
    const start = Date.now();
    lane.send(patch);
    const { detected, by, problem } = await answerOf(lane);
    if (!detected) missed.push(patch);
    const result = detected ? `detected by ${by}` : (problem ?? "NOT DETECTED");
    say(`${patch.name} (${Math.round((Date.now() - start) / 1000)} s): ${patch.breaks}: ${result}`);
  }
  lane.disconnect();
  await new Promise((resolve) => lane.once("exit", resolve));
}

function answerOf(lane) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => fail("a patch's tests don't come to an end"), patchTimeoutMs);
    const ended = (code) => fail(`the process that runs the tests ended with ${code}`);
    lane.once("exit", ended);
    lane.once("message", (answer) => {
      clearTimeout(timer);
      lane.off("exit", ended);
      resolve(answer);
    });
  });
}

function readPatch(name) {
  const file = join(here, name);
  const head = readFileSync(file, "utf8").split("\ndiff ")[0] ?? "";
  const field = (key) => new RegExp(`^${key}: (.+)$`, "m").exec(head)?.[1];
  const [breaks, tests, named] = [field("Breaks"), field("Tests"), field("Named")];
  if (breaks === undefined || tests === undefined)
    fail(`${name} needs the lines "Breaks: …" and "Tests: …"`);
  return { name: name.replace(".patch", ""), file, breaks, named, tests: tests.split(/\s+/) };
}

function say(message) {
  process.stdout.write(`sabotage: ${message}\n`);
}

function fail(message) {
  say(message);
  process.exit(1);
}
