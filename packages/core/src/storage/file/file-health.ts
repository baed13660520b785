import { StorageError } from "../../errors/storage-error.ts";
import type { Health } from "../health.ts";
import { unavailable } from "./failures.ts";
import type { FileStore } from "./file-store.ts";
import { encryptionState } from "./key-store.ts";

/** Answers `Backend.health` for files. */
export async function fileHealth(
  store: FileStore,
  encryptionKey: string | undefined,
  timeoutMs: number,
): Promise<Health> {
  const started = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<Health>((resolve) => {
    timer = setTimeout(() => resolve(unwell(started, hangs(timeoutMs))), timeoutMs);
  });
  try {
    return await Promise.race([look(store, encryptionKey, started), timeout]);
  } finally {
    clearTimeout(timer);
  }
}

async function look(
  store: FileStore,
  encryptionKey: string | undefined,
  started: number,
): Promise<Health> {
  try {
    await store.ready();
    if (store.failure !== null) throw store.failure;
    const sent = performance.now();
    if (!store.readOnly) await store.fs.stat(store.directory);
    const latencyMs = performance.now() - sent;
    const encryption = await encryptionState(store.keyOptions(encryptionKey));
    return { ...base, ok: true, durable: true, latencyMs, encryption, warnings: warningsOf(store) };
  } catch (error) {
    return unwell(started, unavailable("The files can't be used", error));
  }
}

const base = {
  backend: "file",
  isolation: "files",
  migrations: { applied: 0, pending: 0 },
} as const;

function unwell(started: number, error: StorageError): Health {
  return {
    ...base,
    ok: false,
    durable: null,
    latencyMs: performance.now() - started,
    encryption: null,
    warnings: [],
    code: error.code,
    reason: error.message,
  };
}

function hangs(timeoutMs: number): StorageError {
  return new StorageError(
    "UNAVAILABLE",
    `The files did not answer within ${timeoutMs} ms. Check the disk, and whether another process holds them (codespar.lock).`,
  );
}

function warningsOf(store: FileStore): string[] {
  const warnings = store.allOpened.flatMap((organisation) => [
    ...organisation.warnings,
    ...(organisation.snapshotWarning === null ? [] : [organisation.snapshotWarning]),
  ]);
  const usage = store.usage.warning();
  return usage === null ? warnings : [...warnings, usage];
}
