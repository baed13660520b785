/**
 * Builds what a Dockerfile describes without Docker: its COPY and RUN lines are carried out in a folder per stage, by an
 * ordinary user. Absolute paths of the image stand for paths below that folder.
 */
import { spawnSync } from "node:child_process";
import { chownSync, cpSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "../support.mjs";

/** Absolute paths that the instructions may name; anything else absolute is the machine's own. */
const IMAGE_PATHS = ["/app", "/home/node"];

/** Splits a Dockerfile into `{ name, args }`, one per instruction. */
export function parseDockerfile(text) {
  const joined = text.replaceAll(/^#.*\n/gm, "").replaceAll(/\\\n\s*/g, " ");
  return joined
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [, name, args] = /^(\w+)\s+(.*)$/.exec(line.trim()) ?? [];
      if (name === undefined) throw new Error(`not a Dockerfile instruction: ${line}`);
      return { name: name.toUpperCase(), args };
    });
}

/**
 * Carries the instructions out.
 *
 * @param {{ name: string, args: string }[]} instructions
 * @param {object} where
 * @param {string} where.folder - empty; each stage gets a sub-folder
 * @param {string} where.context - folder that `COPY` takes files from
 * @param {object} where.user - uid and gid of whoever runs the steps
 * @param {Record<string, string>} where.env - environment of the steps, before the stage's own
 * @returns the last stage: its working folder, environment, user, command and health check
 */
export async function buildImage(instructions, where) {
  const stages = new Map();
  let stage;
  for (const { name, args } of instructions) {
    if (name === "FROM") {
      stage = newStage(args, where, stages.size);
      stages.set(stage.name, stage);
    } else {
      await carryOut(name, args, { stage, stages, where });
    }
  }
  return stage;
}

function newStage(args, where, index) {
  const name = /\sAS\s+(\S+)$/i.exec(args)?.[1] ?? `stage-${index}`;
  const root = join(where.folder, name);
  makeFolder(join(root, "home", "node"), where);
  return {
    name,
    root,
    folder: root,
    env: { ...where.env },
    user: "root",
    command: undefined,
    health: undefined,
  };
}

async function carryOut(name, args, { stage, stages, where }) {
  const steps = {
    ARG: () => undefined,
    EXPOSE: () => undefined,
    WORKDIR() {
      stage.folder = inImage(args, stage);
      makeFolder(stage.folder, where);
    },
    ENV() {
      for (const [, key, value] of args.matchAll(/(\w+)=(\S+)/g))
        stage.env[key] = inImage(value, stage);
    },
    USER() {
      stage.user = args;
    },
    COPY: () => copy(args, { stage, stages, where }),
    async RUN() {
      const options = { cwd: stage.folder, env: stage.env, ...where.user };
      await run("/bin/sh", ["-c", inImage(args, stage)], options);
    },
    CMD() {
      stage.command = commandOf(args);
    },
    HEALTHCHECK() {
      stage.health = commandOf(/\sCMD\s+(.*)$/.exec(args)?.[1] ?? "exit 1");
    },
  };
  const step = steps[name];
  if (step === undefined) throw new Error(`this check doesn't know ${name}`);
  await step();
}

/** A command in either form: a JSON array, or text for the shell. */
function commandOf(text) {
  return text.startsWith("[") ? JSON.parse(text) : ["/bin/sh", "-c", text];
}

function copy(args, { stage, stages, where }) {
  const [, from, source, target] = /^(?:--from=(\S+)\s+)?(\S+)\s+(\S+)$/.exec(args) ?? [];
  if (source === undefined) throw new Error(`this check doesn't know COPY ${args}`);
  const origin =
    from === undefined ? join(where.context, source) : inImage(source, stages.get(from));
  const goal = join(stage.folder, target, target.endsWith("./") ? source.split("/").at(-1) : "");
  cpSync(origin, goal, { recursive: true, verbatimSymlinks: true });
  own(goal, where);
}

/** Replaces the image's absolute paths by where they are now. */
function inImage(text, stage) {
  const pattern = new RegExp(`(?<![\\w.~-])(${IMAGE_PATHS.join("|")})(?=[/\\s]|$)`, "g");
  return text.replaceAll(pattern, (path) => join(stage.root, path));
}

function makeFolder(path, where) {
  mkdirSync(path, { recursive: true });
  if (where.user.uid === undefined) return;
  for (let at = path; at !== where.folder; at = dirname(at))
    chownSync(at, where.user.uid, where.user.gid);
}

function own(path, where) {
  if (where.user.uid === undefined) return;
  spawnSync("chown", ["-R", "-h", `${where.user.uid}:${where.user.gid}`, path]);
}
