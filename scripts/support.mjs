/** What the checks that act like a user have in common: folders that go away, commands, a running server. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Calls back with a new folder below the system's temporary one, which any user may read, and removes it.
 *
 * @template T
 * @param {string} name
 * @param {(folder: string) => Promise<T>} work
 */
export async function withFolder(name, work) {
  const folder = await mkdtemp(join(tmpdir(), `codespar-${name}-`));
  chmodSync(folder, 0o755);
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/**
 * The environment of a user who has set nothing: no npm variables of ours, no database.
 *
 * @param {string} home - their home folder
 * @param {Record<string, string>} [more]
 */
export function cleanEnvironment(home, more = {}) {
  const kept = [
    "PATH",
    "TMPDIR",
    "LANG",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "NODE_EXTRA_CA_CERTS",
    "CI",
  ];
  const npm = Object.keys(process.env).filter((name) =>
    /^npm_config_(registry|cafile)$/i.test(name),
  );
  const present = [...kept, ...npm].filter((name) => process.env[name] !== undefined);
  return {
    ...Object.fromEntries(present.map((name) => [name, process.env[name]])),
    HOME: home,
    ...more,
  };
}

/**
 * Runs a command to its end.
 *
 * @returns {Promise<string>} what it wrote to standard output
 * @throws Error with all its output when it fails or takes longer than five minutes
 */
export async function run(command, args, options) {
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 300_000,
    ...options,
  });
  let stdout = "";
  let all = "";
  child.stdout.on("data", (data) => {
    stdout += data;
    all += data;
  });
  child.stderr.on("data", (data) => {
    all += data;
  });
  const [code, signal] = await once(child, "close");
  if (code !== 0)
    throw new Error(`${command} ${args.join(" ")} ended with ${code ?? signal}:\n${all}`);
  return stdout;
}

/**
 * Starts a server and waits until its health answers 200.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {object} options - of `spawn`; `env.PORT` is where it listens
 * @returns what it wrote so far, and `stop()`, which ends it with SIGTERM and insists on exit code 0
 */
export async function startServer(command, args, options) {
  // A process group of its own, so that nothing of it is left over when it has to be killed.
  const server = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
    ...options,
  });
  const kill = () => process.kill(-server.pid, "SIGKILL");
  let output = "";
  for (const stream of [server.stdout, server.stderr]) {
    stream.on("data", (data) => {
      output += data;
    });
  }
  const ended = once(server, "close");
  const url = `http://localhost:${options.env.PORT}`;
  async function stop() {
    const overdue = setTimeout(kill, 15_000);
    server.kill("SIGTERM");
    const [code, signal] = await ended;
    clearTimeout(overdue);
    if (code !== 0)
      throw new Error(`the server ended with ${code ?? signal} on SIGTERM:\n${output}`);
  }
  const running = { url, stop, output: () => output, health: undefined };
  for (const deadline = Date.now() + 60_000; ; await sleep(50)) {
    const answer = await fetch(`${url}/health`).catch(() => undefined);
    if (answer?.status === 200) return { ...running, health: await answer.json() };
    const over = server.exitCode !== null || server.signalCode !== null;
    if (over || Date.now() > deadline) {
      if (!over) kill();
      throw new Error(
        `the server didn't become healthy (last answer ${answer?.status}):\n${output}`,
      );
    }
  }
}

/** A port of the loopback interface that nobody listens on at this moment. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Who to be when a check must not be root: nobody, or ourselves where we aren't root. */
export function unprivileged() {
  return process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
}
