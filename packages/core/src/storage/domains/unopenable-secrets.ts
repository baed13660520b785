import type { Backend } from "../backend.ts";
import { RecentReads } from "./recent-reads.ts";

/** How long what was counted is relied on: it takes a look at every record that holds secrets, and health is asked for every few seconds. */
const recentMs = 5 * 60_000;

const counted = new WeakMap<Backend, RecentReads<string | null>>();

/**
 * What health says where something is sealed with a key that isn't among those set: a key that went before a rotation had ended, or a backup of
 * before it. All else works, so it is no reason to serve nothing.
 *
 * @returns `null` when everything opens, and when this can't be told
 */
export function unopenableSecrets(backend: Backend, nowMs: number): Promise<string | null> {
  const reads = counted.get(backend) ?? new RecentReads(recentMs, 1);
  counted.set(backend, reads);
  // What a login may not see, or a damaged organisation holds, is told to whoever asks for it; it isn't asked for any sooner.
  return reads.get("", nowMs, () => warningOf(backend).catch(() => null));
}

async function warningOf(backend: Backend): Promise<string | null> {
  const { ring } = await backend.keyState();
  const foreign = (await backend.sealedCounts()).filter(
    ({ keyId }) => !ring?.keyIds.includes(keyId),
  );
  if (foreign.length === 0) return null;
  const records = foreign.reduce((sum, { count }) => sum + count, 0);
  const ids = [...new Set(foreign.map(({ keyId }) => keyId))].sort().join(", ");
  return `the secrets of ${records} records can't be opened: the key(s) ${ids} that sealed them are not among those set. Add them behind the present one (CODESPAR_ENCRYPTION_KEY=PRESENT,MISSING), or store these secrets again; codespar secrets status counts them.`;
}
