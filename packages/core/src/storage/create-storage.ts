import { resolve } from "node:path";
import type { Pool } from "pg";
import { KeyRing } from "../crypto/key-ring.ts";
import { systemActor } from "../domain/actor.ts";
import { limits } from "../domain/limits.ts";
import { kindOf } from "../domain/text.ts";
import { invalid, StorageError } from "../errors/storage-error.ts";
import type { Backend } from "./backend.ts";
import { type Lease, storageHandle } from "./domains/handle.ts";
import { FileBackend } from "./file/file-backend.ts";
import type { HoldingServer } from "./file/server-holding.ts";
import { LazyBackend } from "./lazy-backend.ts";
import { optionNames } from "./option-names.ts";
import type { StorageOptions } from "./options.ts";
import { parseDatabaseUrl } from "./postgres/database-url.ts";
import { realPathOf } from "./real-path.ts";
import type { Storage } from "./storage.ts";
import { checkOptionNames, checkOptions, checkText } from "./validation.ts";

/** The organisation of `createStorage()` without an argument. */
export const defaultOrgId = "default";

/**
 * Gives a handle on the storage of one organisation. Synchronous: the backend connects on first use, and a failed connection isn't
 * remembered. With `DATABASE_URL` set it is PostgreSQL, otherwise JSON files in `.codespar`.
 *
 * All handles of one process on the same target share one connection pool, or one open directory; a handle's `close()` gives
 * back its share. A script that never calls it still ends by itself.
 *
 * @param orgId - 1 to 128 UTF-8 bytes; `default` when left out
 * @throws StorageError `VALIDATION` for arguments or environment variables that aren't acceptable, or options that contradict those of
 * a handle that is open on the same target; `LIMIT_EXCEEDED` for an `orgId` that is too long
 *
 * @example
 * ```ts
 * import { createStorage } from "@codespar/core";
 *
 * await using storage = createStorage("org_abc123");
 * await storage.memory.set("agent-1", "greeting", { text: "hello" });
 * const greeting = await storage.memory.get<{ text: string }>("agent-1", "greeting");
 * ```
 */
export function createStorage(orgId: string = defaultOrgId, options: StorageOptions = {}): Storage {
  checkOptionNames(options, optionNames.storage);
  checkText(orgId, "orgId", limits.orgIdBytes);
  return storageHandle(lease(resolveSettings(options)), orgId, systemActor);
}

/** Where data goes, as `createStorage` would decide. */
export type StorageTarget =
  | { readonly backend: "file"; readonly directory: string }
  | { readonly backend: "postgres"; readonly databaseUrl: string };

/**
 * Tells where `createStorage` with these options would keep data, without opening it.
 *
 * @throws StorageError `VALIDATION` as `createStorage`
 */
export function storageTarget(
  options: Pick<StorageOptions, "databaseUrl" | "directory"> = {},
): StorageTarget {
  checkOptions(options);
  const { directory, databaseUrl } = options;
  if (databaseUrl !== undefined && directory !== undefined) {
    throw invalid("databaseUrl and directory exclude each other: give one of them.");
  }
  if (databaseUrl !== undefined)
    return { backend: "postgres", databaseUrl: checkUrl(databaseUrl, "databaseUrl") };
  if (directory !== undefined)
    return { backend: "file", directory: checkDirectory(directory, "directory") };
  const fromEnvironment = process.env["DATABASE_URL"];
  if (fromEnvironment !== undefined)
    return { backend: "postgres", databaseUrl: checkUrl(fromEnvironment, "DATABASE_URL") };
  const folder = process.env["CODESPAR_STORAGE_DIR"];
  return {
    backend: "file",
    directory: checkDirectory(folder ?? ".codespar", "CODESPAR_STORAGE_DIR"),
  };
}

/**
 * Tells other processes on this machine where this one serves a storage over HTTP, as `serverHolding` then answers. Does nothing on
 * PostgreSQL, which needs no go-between, nor without an open handle on the storage.
 *
 * @throws StorageError `STORAGE_LOCKED`, `UNAVAILABLE`; `VALIDATION` as `createStorage`
 */
export async function publishServer(
  server: HoldingServer,
  options: Pick<StorageOptions, "databaseUrl" | "directory"> = {},
): Promise<void> {
  await shares.get(shareKey(storageTarget(options)))?.backend.publishServer?.(server);
}

/** Makes the backend of a target that no handle shares, for tools that read or write it as a whole. The caller closes it. */
export function openBackend(options: StorageOptions): Backend {
  return construct(resolveSettings(options));
}

/** The keys that a storage with these options seals with, when they name any. */
export function configuredKey(options: Pick<StorageOptions, "encryptionKey">): string | undefined {
  return options.encryptionKey ?? process.env["CODESPAR_ENCRYPTION_KEY"];
}

type Settings = {
  readonly target: StorageTarget | { readonly backend: "postgres"; readonly pool: Pool };
  readonly readOnly: boolean;
  readonly maxConnections: number;
  readonly connectionTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly coalesce: boolean;
  readonly preparedStatements: boolean;
  readonly encryptionKey: string | undefined;
  readonly maxValueBytes: number;
  readonly clock: () => number;
};

function resolveSettings(options: StorageOptions): Settings {
  const { pool, clock = Date.now } = options;
  const encryptionKey = configuredKey(options);
  if (
    pool !== undefined &&
    (options.databaseUrl !== undefined || options.directory !== undefined)
  ) {
    throw invalid("pool excludes databaseUrl and directory: give one of them.");
  }
  if (pool !== undefined && typeof pool?.connect !== "function")
    throw invalid("pool must be a Pool of the pg package.");
  if (typeof clock !== "function") throw invalid(`clock must be a function, not ${kindOf(clock)}.`);
  if (encryptionKey !== undefined)
    checkEncryptionKey(
      encryptionKey,
      options.encryptionKey === undefined ? "CODESPAR_ENCRYPTION_KEY" : "encryptionKey",
    );
  return {
    target: pool === undefined ? storageTarget(options) : { backend: "postgres", pool },
    readOnly: options.readOnly ?? false,
    coalesce: options.coalesce ?? true,
    preparedStatements: options.preparedStatements ?? true,
    maxConnections: whole(options, "maxConnections", 10, 1, 1000),
    connectionTimeoutMs: whole(options, "connectionTimeoutMs", 5000, 1, 600_000),
    statementTimeoutMs: whole(options, "statementTimeoutMs", 30_000, 1, 3_600_000),
    maxValueBytes: whole(
      options,
      "maxValueBytes",
      limits.valueBytesDefault,
      1,
      limits.valueBytesMax,
    ),
    encryptionKey,
    clock,
  };
}

function whole(
  options: StorageOptions,
  name: "maxConnections" | "connectionTimeoutMs" | "statementTimeoutMs" | "maxValueBytes",
  otherwise: number,
  min: number,
  max: number,
): number {
  const value = options[name] ?? otherwise;
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw invalid(`${name} must be a whole number from ${min} to ${max}.`);
}

/** At once, not with the first secret: a server must not start under a key that can't be one. */
function checkEncryptionKey(value: unknown, name: string): void {
  if (typeof value !== "string") throw invalid(`${name} must be a string, not ${kindOf(value)}.`);
  try {
    KeyRing.parse(value);
  } catch (error) {
    // Its message doesn't hold the key.
    throw StorageError.is(error) ? invalid(`${name} is not usable. ${error.message}`) : error;
  }
}

function checkDirectory(value: unknown, name: string): string {
  if (typeof value === "string" && value !== "" && !value.includes("\0")) return resolve(value);
  throw invalid(
    `${name} must be the path of a folder, not ${value === "" ? "empty" : kindOf(value)}.`,
  );
}

function checkUrl(value: unknown, name: string): string {
  const remedy = `Set ${name} to postgres://user:password@host:5432/database, or unset it to keep data in files.`;
  if (typeof value !== "string")
    throw invalid(`${name} must be a string, not ${kindOf(value)}. ${remedy}`);
  if (value.trim() === "") throw invalid(`${name} is set but empty. ${remedy}`);
  // Only the scheme is named: the rest may hold a password.
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(value)?.[1];
  if (scheme !== "postgres" && scheme !== "postgresql") {
    throw invalid(
      `${name} is not a PostgreSQL URL${scheme === undefined ? "" : ` but a ${scheme} one`}. ${remedy}`,
    );
  }
  parseDatabaseUrl(value);
  return value;
}

/** What handles of one target have in common. */
interface Share {
  readonly backend: Backend;
  readonly settings: Settings;
  leases: number;
}

const shares = new Map<string | Pool, Share>();

function lease(settings: Settings): Lease {
  const key = shareKey(settings.target);
  const share = shares.get(key) ?? { backend: construct(settings), settings, leases: 0 };
  assertSameSettings(share.settings, settings);
  shares.set(key, share);
  share.leases += 1;
  let released: Promise<void> | undefined;
  return {
    backend: share.backend,
    maxValueBytes: settings.maxValueBytes,
    clock: settings.clock,
    assertOpen: () => {
      if (released === undefined) return;
      throw new StorageError(
        "UNSUPPORTED",
        "This storage handle is closed. Get another one from createStorage.",
      );
    },
    release: () => {
      released ??= releaseShare(key, share);
      return released;
    },
  };
}

async function releaseShare(key: string | Pool, share: Share): Promise<void> {
  share.leases -= 1;
  if (share.leases > 0) return;
  shares.delete(key);
  await share.backend.close();
}

function shareKey(target: Settings["target"]): string | Pool {
  return "pool" in target ? target.pool : targetKey(target);
}

/** The same for all names of one folder, or of one URL. */
export function targetKey(target: StorageTarget): string {
  return target.backend === "file" ? `file:${realPathOf(target.directory)}` : target.databaseUrl;
}

function assertSameSettings(open: Settings, wanted: Settings): void {
  for (const name of Object.keys(open) as (keyof Settings)[]) {
    if (name === "target" || open[name] === wanted[name]) continue;
    throw invalid(
      `${name} differs from that of a handle which is open on the same storage. Use the same options, or close that one first.`,
    );
  }
}

function construct({ target, readOnly, encryptionKey, clock, ...settings }: Settings): Backend {
  if (target.backend === "file") {
    return new FileBackend({ directory: target.directory, readOnly, encryptionKey, clock });
  }
  if (readOnly)
    throw new StorageError(
      "UNSUPPORTED",
      "readOnly is for files: give the PostgreSQL role read-only rights instead.",
    );
  const { maxConnections, connectionTimeoutMs, statementTimeoutMs, coalesce, preparedStatements } =
    settings;
  const limitsAndSwitches = {
    maxConnections,
    connectionTimeoutMs,
    statementTimeoutMs,
    coalesce,
    preparedStatements,
  };
  const connection = "pool" in target ? { pool: target.pool } : { databaseUrl: target.databaseUrl };
  return new LazyBackend("postgres", async () => {
    const { PostgresBackend } = await import("./postgres/postgres-backend.ts");
    return new PostgresBackend({ ...connection, ...limitsAndSwitches, encryptionKey, clock });
  });
}
