import { setTimeout as sleep } from "node:timers/promises";
import type { Backend } from "../backend.ts";
import type { Health } from "../health.ts";
import { unfinishedSince, unfinishedTarget } from "../move/mark.ts";

/** The backend's health; what only a part of the data has reached isn't well, however well the backend is. */
export async function healthOf(
  backend: Backend,
  clock: () => number,
  timeoutMs: number,
): Promise<Health> {
  // The backend says itself why it can't be read.
  const since = unfinishedSince(backend, { now: clock() }).catch(() => null);
  const late = sleep(timeoutMs, null, { ref: false });
  const health = await backend.health(timeoutMs);
  const startedAt = health.ok ? await Promise.race([since, late]) : null;
  if (startedAt === null) return health;
  const { code, message } = unfinishedTarget(startedAt);
  return { ...health, ok: false, code, reason: message };
}
