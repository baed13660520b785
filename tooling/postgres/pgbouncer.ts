import { spawn } from "node:child_process";
import { once } from "node:events";
import { chown, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findProgram } from "../programs.ts";
import { unprivilegedUser } from "./binaries.ts";
import { freePort } from "./free-port.ts";
import { guard } from "./guard.ts";

/** Why tests that need PgBouncer are skipped where it is missing; print it with the skip. */
export const PGBOUNCER_MISSING = "pgbouncer not installed: apt-get install pgbouncer";

/** How to start PgBouncer. */
export interface PgBouncerOptions {
  /** Users that may log in (trusted) besides the URL's own. */
  readonly users?: readonly string[];
  /** Further `[pgbouncer]` settings; they win over ours. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A running PgBouncer. */
export interface PgBouncer extends AsyncDisposable {
  readonly port: number;
  /** The given URL, through PgBouncer. */
  readonly url: string;
  stop(): Promise<void>;
}

/** Whether a `pgbouncer` program is on the PATH. For `describe.skipIf(!hasPgBouncer())`. */
export function hasPgBouncer(): boolean {
  return binary() !== undefined;
}

/**
 * Starts PgBouncer in transaction mode in front of a server.
 *
 * @param url - `postgres://user@host:port/database` of a server that trusts its users
 * @throws Error with {@link PGBOUNCER_MISSING} when the program isn't installed, or with its log when it
 * doesn't come up.
 */
export async function startPgBouncer(
  url: string,
  options: PgBouncerOptions = {},
): Promise<PgBouncer> {
  const program = binary();
  if (program === undefined) throw new Error(PGBOUNCER_MISSING);
  const target = new URL(url);
  const port = await freePort();
  const user = unprivilegedUser();
  const folder = await mkdtemp(join(tmpdir(), "codespar-pgbouncer-"));
  const watch = guard(join(folder, "pgbouncer.pid"), folder);
  await writeFile(join(folder, "pgbouncer.ini"), configuration(target, port, folder, options));
  const users = [decodeURIComponent(target.username) || "postgres", ...(options.users ?? [])];
  await writeFile(join(folder, "users.txt"), users.map((name) => `"${name}" ""\n`).join(""));
  if (user) await chown(folder, user.uid, user.gid);
  const server = spawn(program, [join(folder, "pgbouncer.ini")], {
    ...user,
    cwd: folder,
    detached: true,
    stdio: "ignore",
  });
  server.unref();
  async function stop(): Promise<void> {
    // Whoever waits must be kept alive for it, even when nothing else is going on.
    server.ref();
    const gone = once(server, "exit");
    if (server.exitCode === null && server.signalCode === null && server.kill("SIGQUIT"))
      await gone;
    await rm(folder, { recursive: true, force: true });
    watch.dismiss();
  }
  try {
    await accepting(port, () => server.exitCode === null);
  } catch (cause) {
    const log = await readFile(join(folder, "pgbouncer.log"), "utf8").catch(() => "");
    await stop();
    throw new Error(`pgbouncer didn't start:\n${log}`, { cause });
  }
  target.hostname = "127.0.0.1";
  target.port = String(port);
  return { port, url: target.href, stop, [Symbol.asyncDispose]: stop };
}

function configuration(
  target: URL,
  port: number,
  folder: string,
  options: PgBouncerOptions,
): string {
  const settings = {
    listen_addr: "127.0.0.1",
    listen_port: String(port),
    unix_socket_dir: "",
    auth_type: "trust",
    auth_file: join(folder, "users.txt"),
    logfile: join(folder, "pgbouncer.log"),
    pidfile: join(folder, "pgbouncer.pid"),
    pool_mode: "transaction",
    max_client_conn: "500",
    default_pool_size: "8",
    ignore_startup_parameters: "extra_float_digits,options",
    ...options.settings,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  return [
    "[databases]",
    `* = host=${target.hostname} port=${target.port || "5432"}`,
    "[pgbouncer]",
    ...lines,
    "",
  ].join("\n");
}

function binary(): string | undefined {
  return findProgram(["pgbouncer"], ["/usr/sbin"]);
}

async function accepting(port: number, alive: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 60_000; ; await sleep(20)) {
    const socket = connect(port, "127.0.0.1");
    try {
      await once(socket, "connect");
      return;
    } catch (error) {
      if (!alive() || Date.now() > deadline) throw error;
    } finally {
      socket.destroy();
    }
  }
}
