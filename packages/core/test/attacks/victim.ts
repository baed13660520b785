import type { NoteSigner } from "../../src/audit/signed-note.ts";
import {
  type AuditVerification,
  type AuditVerifyInput,
  createStorage,
  type StorageOptions,
} from "../../src/index.ts";
import type { AuditPart } from "../../src/storage/backend.ts";
import { signerOf, storedKeys } from "../../src/storage/domains/audit-keys.ts";
import { contextOf } from "../../src/storage/domains/context.ts";

/** A trail that is going to be attacked, and what its owner kept of it elsewhere. */
export interface Victim {
  readonly orgId: string;
  readonly vkey: string;
  /** The private key, for those attackers who got hold of it. */
  readonly signer: NoteSigner;
  /** The signed checkpoints, and their sizes. */
  readonly first: Kept;
  readonly second: Kept;
  /** The part that was erased, as somebody kept it who could read it before. */
  readonly erased: AuditPart;
  readonly size: number;
}

interface Kept {
  readonly size: number;
  readonly note: string;
}

/** What the trail holds where. */
export const places = {
  redacted: 10,
  redaction: 21,
  openIntent: 12,
  resolvedIntent: 13,
  bare: 3,
} as const;

/**
 * Makes a trail of 300 entries through the library: the first 256 are in a tile of the tree, a part was erased, one intent is open, and
 * checkpoints were signed of 121 and of 270 of them.
 */
export async function makeVictim(options: StorageOptions, orgId: string): Promise<Victim> {
  await using storage = createStorage(orgId, options);
  const { audit } = storage;
  const append = async (from: number, to: number) => {
    for (let n = from; n < to; n += 1) {
      if (n === places.openIntent)
        await audit.intent({ action: "db.drop", correlationId: "c-open" });
      else if (n === places.resolvedIntent)
        await audit.intent({ action: "db.dump", correlationId: "c-done" });
      else if (n === places.bare) await audit.append({ action: "test.bare" });
      else await audit.append(full(n));
    }
  };
  await append(0, 20);
  const dump = (await audit.list({ action: "db.dump" })).items[0];
  if (dump === undefined) throw new Error("no intent");
  await audit.outcome(dump, "success");
  const { backend } = contextOf(storage);
  const query = { filter: {}, after: places.redacted - 1, limit: 1, order: "asc" } as const;
  const [row] = await backend.listAudit(orgId, query, { now: Date.now() });
  const erased = row?.parts[0];
  if (erased === undefined) throw new Error("no part");
  await audit.redact(places.redacted, "asked for");
  await append(22, 120);
  const first = await audit.checkpoint();
  await append(first.size, 270);
  const second = await audit.checkpoint();
  await append(270, 300);
  const [key] = await storedKeys(contextOf(storage), { now: Date.now() });
  if (key === undefined) throw new Error("no key");
  const signer = await signerOf(contextOf(storage), key);
  return { orgId, vkey: key.vkey, signer, first, second, erased, size: 300 };
}

/** An entry that says all that one can. */
function full(n: number) {
  return {
    actor: { type: "user", id: `ada-${n}` },
    action: "deploy.started",
    outcome: "denied",
    target: { type: "service", id: "web" },
    agent: { id: "deployer", run: "run-1", model: "m" },
    project: "shop",
    risk: "high",
    correlationId: `c-${n}`,
    occurredAt: "2024-05-06T07:08:09.500Z",
    details: { personal: `Ada ${n}`, odd: "ü\u0000\ufffd" },
  } as const;
}

/** Verifies a trail as the command line does: from a handle of its own, of files read-only. */
export async function verify(
  options: StorageOptions,
  orgId: string,
  input: AuditVerifyInput = {},
): Promise<AuditVerification> {
  const readOnly = options.directory === undefined ? {} : { readOnly: true };
  await using storage = createStorage(orgId, { ...options, ...readOnly });
  return await storage.audit.verify(input);
}
