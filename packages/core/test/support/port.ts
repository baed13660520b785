import type { StorageOptions } from "../../src/index.ts";
import type { Backend, ColumnValue, RecordRef } from "../../src/storage/backend.ts";
import { openBackend } from "../../src/storage/create-storage.ts";
import type { TestBackend } from "./backends.ts";

/** Works on the port below a test's handles, which must be closed where the backend is files. */
export async function onPort<Result>(
  backend: TestBackend,
  work: (port: Backend) => Promise<Result>,
  options: StorageOptions = {},
): Promise<Result> {
  const port = openBackend({ ...backend.options(), ...options });
  try {
    return await work(port);
  } finally {
    await port.close();
  }
}

/** Writes columns as they are, as somebody with access to the database or the files could. */
export async function plant(
  backend: TestBackend,
  orgId: string,
  ref: RecordRef,
  columns: Record<string, ColumnValue>,
): Promise<void> {
  const version = `planted-${Math.random()}`;
  const put = { kind: "put", ...ref, columns, version, expiresAt: null } as const;
  const commit = { checks: [], writes: [put], appends: [] };
  await onPort(backend, (port) => port.commit(orgId, commit, { now: backend.clock.nowMs }));
}

/** A port, some of whose methods are others. */
export function intercepted(port: Backend, methods: Partial<Backend>): Backend {
  return new Proxy(port, {
    get(target, name) {
      const value: unknown = Reflect.get(methods, name) ?? Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
