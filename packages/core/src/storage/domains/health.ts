import { setTimeout as sleep } from "node:timers/promises";
import type { Backend } from "../backend.ts";
import type { Health } from "../health.ts";
import { unfinishedSince, unfinishedTarget } from "../move/mark.ts";
import { unopenableSecrets } from "./unopenable-secrets.ts";

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
  if (!health.ok) return health;
  const startedAt = await Promise.race([since, late]);
  if (startedAt !== null) {
    const { code, message } = unfinishedTarget(startedAt);
    return { ...health, ok: false, code, reason: message };
  }
  const unopenable = await Promise.race([unopenableSecrets(backend, clock()), late]);
  return unopenable === null ? health : { ...health, warnings: [...health.warnings, unopenable] };
}
