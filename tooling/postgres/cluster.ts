import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { chown, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { assertNoSecretInFolder, secretsAreMarked } from "../secrets/search.ts";
import { locateBinaries, type PostgresBinaries, type PostgresMajor } from "./binaries.ts";
import { freePort } from "./free-port.ts";
import { type Guard, guard } from "./guard.ts";

/** How to start a cluster of one's own. */
export interface ClusterOptions {
  /** Major version. @defaultValue "default", which is 18 */
  readonly major?: PostgresMajor | "default";
  /** Server settings (`postgresql.conf` names); they win over ours. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Offers TLS with this certificate. @defaultValue no TLS */
  readonly tls?: Certificate;
  /** TCP port on 127.0.0.1. @defaultValue a free one, kept over restarts */
  readonly port?: number;
}

/** A certificate and its private key, as PEM. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

/** `fast` ends sessions in order, `smart` waits for them, `immediate` is a crash with recovery. */
export type StopMode = "fast" | "smart" | "immediate";

/** A PostgreSQL server of one's own, below the system's temporary folder. */
export interface Cluster extends AsyncDisposable {
  readonly major: PostgresMajor;
  readonly port: number;
  /** Superuser URL of the database `postgres`, over TCP. */
  readonly adminUrl: string;
  /** Folder of the Unix-domain socket (`?host=` of a URL). */
  readonly socketFolder: string;
  /** Path of the server's log. */
  readonly logFile: string;
  /** Process id of the postmaster while the server runs. */
  readonly pid: number | undefined;
  /** Starts the stopped server and waits until it accepts connections. */
  start(): Promise<void>;
  /** Stops the server; does nothing when it is stopped. @defaultValue mode "fast" */
  stop(mode?: StopMode): Promise<void>;
  /** Stops and starts. */
  restart(mode?: StopMode): Promise<void>;
  /** Stops the server at once and removes all its files, after a look at them: data, write-ahead log and log. @throws SecretFound */
  [Symbol.asyncDispose](): Promise<void>;
}

const SIGNALS = { smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT" } as const;

/* A time zone that isn't UTC, so that a test notices whoever relies on the server's. */
const SETTINGS = {
  listen_addresses: "127.0.0.1",
  max_connections: "200",
  shared_buffers: "64MB",
  timezone: "Asia/Kolkata",
  log_line_prefix: "%m [%p] ",
};

/** Settings for a server whose data nobody needs after a crash. */
export const THROWAWAY_SETTINGS = { fsync: "off", full_page_writes: "off" };

/**
 * Creates and starts a PostgreSQL server of its own: syncing (`fsync` on) as in production, users
 * trusted, superuser `postgres`, a linguistic default collation where the version can.
 * It ends with `await using`, with its `Symbol.asyncDispose`, or with this process, however that ends.
 *
 * @throws Error with the end of the server's log when it doesn't come up within 30 s.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const major = options.major === undefined || options.major === "default" ? 18 : options.major;
  const binaries = locateBinaries(major);
  const folder = await mkdtemp(join(tmpdir(), "codespar-pg-"));
  if (binaries.user) await chown(folder, binaries.user.uid, binaries.user.gid);
  const watch = guard(join(folder, "data", "postmaster.pid"), folder);
  const tls = options.tls ? await tlsSettings(options.tls, folder, binaries) : {};
  const settings = { ...tls, ...options.settings };
  const cluster = new LocalCluster(major, { ...options, settings }, binaries, folder, watch);
  try {
    await initialise(binaries, folder, major);
    await cluster.start();
    return cluster;
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

class LocalCluster implements Cluster {
  readonly major: PostgresMajor;
  readonly socketFolder: string;
  readonly logFile: string;
  port: number;
  #server: ReturnType<typeof spawn> | undefined;
  readonly #settings: Readonly<Record<string, string>>;
  readonly #fixedPort: boolean;
  readonly #binaries: PostgresBinaries;
  readonly #guard: Guard;

  constructor(
    major: PostgresMajor,
    options: ClusterOptions,
    binaries: PostgresBinaries,
    folder: string,
    watch: Guard,
  ) {
    this.major = major;
    this.socketFolder = folder;
    this.logFile = join(folder, "server.log");
    this.port = options.port ?? 0;
    this.#fixedPort = options.port !== undefined;
    this.#settings = { ...SETTINGS, ...options.settings, unix_socket_directories: folder };
    this.#binaries = binaries;
    this.#guard = watch;
  }

  get adminUrl(): string {
    return `postgres://postgres@127.0.0.1:${this.port}/postgres`;
  }

  get pid(): number | undefined {
    return this.#server?.pid;
  }

  async start(): Promise<void> {
    // A port that was free a moment ago may be taken by now: a few more tries, but only the first time.
    for (let attempt = 1; ; attempt += 1) {
      const choose = this.port === 0 || (attempt > 1 && !this.#fixedPort);
      if (choose) this.port = await freePort();
      try {
        await this.#launch();
        return;
      } catch (error) {
        const taken = error instanceof Error && error.message.includes("Address already in use");
        if (!(taken && choose && attempt < 5)) throw error;
      }
    }
  }

  async stop(mode: StopMode = "fast"): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    const gone = once(server, "exit");
    if (server.exitCode === null && server.signalCode === null) {
      // Whoever waits must be kept alive for it, even when nothing else is going on.
      server.ref();
      server.kill(SIGNALS[mode]);
      await gone;
    }
    this.#server = undefined;
  }

  async restart(mode: StopMode = "fast"): Promise<void> {
    await this.stop(mode);
    await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("immediate");
    try {
      if (secretsAreMarked()) await assertNoSecretInFolder(this.socketFolder);
    } finally {
      await rm(this.socketFolder, { recursive: true, force: true });
      this.#guard.dismiss();
    }
  }

  async #launch(): Promise<void> {
    if (this.#server !== undefined) throw new Error("the cluster runs already");
    const settings = Object.entries(this.#settings).flatMap(([k, v]) => ["-c", `${k}=${v}`]);
    const data = join(this.socketFolder, "data");
    const log = openSync(this.logFile, "a");
    const server = spawn(
      join(this.#binaries.folder, "postgres"),
      ["-D", data, "-p", String(this.port), ...settings],
      // Its own process group: Ctrl-C reaches the tests, which stop the server in order.
      {
        ...this.#binaries.user,
        ...quiet(this.socketFolder),
        detached: true,
        stdio: ["ignore", log, log],
      },
    );
    closeSync(log);
    server.unref();
    const failed = new Promise<never>((_, reject) => server.once("error", reject));
    failed.catch(() => undefined);
    this.#server = server;
    try {
      await Promise.race([failed, this.#ready(data, server)]);
    } catch (error) {
      await this.stop("immediate");
      throw error;
    }
  }

  async #ready(data: string, server: ReturnType<typeof spawn>): Promise<void> {
    for (const deadline = Date.now() + 120_000; ; await sleep(20)) {
      const status = await readFile(join(data, "postmaster.pid"), "utf8").catch(() => "");
      const lines = status.split("\n");
      if (lines[0] === String(server.pid) && lines[7]?.trim() === "ready") return;
      if (server.exitCode !== null || Date.now() > deadline) {
        const log = await readFile(this.logFile, "utf8").catch(() => "");
        const end = log.trimEnd().split("\n").slice(-15).join("\n");
        throw new Error(`PostgreSQL ${this.major} didn't start on port ${this.port}:\n${end}`);
      }
    }
  }
}

async function initialise(
  binaries: PostgresBinaries,
  folder: string,
  major: PostgresMajor,
): Promise<void> {
  // With a collation other than C, a forgotten COLLATE "C" shows as a wrong order.
  const collation = major >= 16 ? ["--locale-provider=icu", "--icu-locale=en-US"] : [];
  await promisify(execFile)(
    join(binaries.folder, "initdb"),
    [
      ...["-D", join(folder, "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8"],
      ...["--locale=C", "--no-sync", "--no-instructions", ...collation],
    ],
    { ...binaries.user, ...quiet(folder) },
  );
}

/** Puts the certificate where the server finds it. Only the server may read its key, or it refuses to start. */
async function tlsSettings(
  tls: Certificate,
  folder: string,
  { user }: PostgresBinaries,
): Promise<Record<string, string>> {
  const [ssl_cert_file, ssl_key_file] = [join(folder, "server.crt"), join(folder, "server.key")];
  await writeFile(ssl_cert_file, tls.certificate);
  await writeFile(ssl_key_file, tls.key, { mode: 0o600 });
  if (user) await chown(ssl_key_file, user.uid, user.gid);
  return { ssl: "on", ssl_cert_file, ssl_key_file };
}

/** Nothing of the caller's PG* variables or language reaches the server. */
function quiet(folder: string) {
  return { cwd: folder, env: { PATH: process.env["PATH"] ?? "", LC_ALL: "C" } };
}
