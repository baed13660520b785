import { isVerifier } from "./signed-note.ts";

/**
 * What this software records by itself, and callers can't append, so that who reads such an entry knows whose it is: whole actions, and with a
 * `*` at the end families of them that are its own altogether.
 */
export const ownActions = [
  "access.*",
  "agent.autonomy_changed",
  "agent.deleted",
  "agent.registered",
  "agent.status_changed",
  "agent.updated",
  "api_key.*",
  "audit.*",
  "integration.configured",
  "integration.removed",
  "integration.updated",
  "memory.deleted",
  "memory.set",
  "organisation.*",
  "project.created",
  "project.deleted",
  "project.updated",
  "repository.linked",
  "repository.unlinked",
  "repository.updated",
  "secret.*",
  "secrets.*",
  "slack.installed",
  "slack.uninstalled",
  "slack.updated",
] as const;

type Named<Pattern> = Pattern extends `${infer Family}*` ? `${Family}${string}` : Pattern;

/** An action of {@link ownActions}: this software records no others. */
export type OwnAction = Named<(typeof ownActions)[number]>;

const whole: ReadonlySet<string> = new Set(ownActions);
const families = ownActions.filter((own) => own.endsWith("*")).map((own) => own.slice(0, -1));

/** Whether this software alone may record an action. */
export function isOwnAction(action: string): action is OwnAction {
  return whole.has(action) || families.some((family) => action.startsWith(family));
}

/*
 * Entries by which a trail speaks of itself. Verification acts on them: what they say stands in the hashed bytes, as action and target.
 */

/** A part of an earlier entry was erased: target `audit_part`, `<seq>/<part>`. */
export const redacted = "audit.redacted" as const;
/** The trail got its first signing key: target `audit_key`, its vkey. */
export const keyCreated = "audit.key_created" as const;
/** A signing key took another one's place: target `audit_key`, `<old key id> <new vkey>`. */
export const keyRotated = "audit.key_rotated" as const;

interface Said {
  readonly action: string;
  readonly target?: { readonly type: string; readonly id: string } | undefined;
}

/** A part of an entry, as the entry that erased it names it. */
export function redactionOf(seq: number, part: string) {
  return { action: redacted, target: { type: "audit_part", id: `${seq}/${part}` } };
}

/** The part that entries have. */
export const detailsPart = "details";

/**
 * The filter by which {@link Audit.list} finds the entries that say that the details of the one at `seq` were erased: the oldest of them is the one
 * that erased them. None is there while they are.
 */
export function redactionFilter(seq: number): {
  readonly action: string;
  readonly correlationId: string;
} {
  return { action: redacted, correlationId: `audit_part/${seq}/${detailsPart}` };
}

/** Which part an entry says was erased; `null` when it says no such thing. */
export function erasedBy({ action, target }: Said): { seq: number; part: string } | null {
  if (action !== redacted || target?.type !== "audit_part") return null;
  const [, seq, part] = /^(0|[1-9]\d{0,15})\/(.+)$/su.exec(target.id) ?? [];
  return seq === undefined || part === undefined ? null : { seq: Number(seq), part };
}

/** The first signing key, as its entry names it. */
export function creationOf(vkey: string) {
  return { action: keyCreated, target: { type: "audit_key", id: vkey } };
}

/** A signing key and the one that it replaces, as their entry names them. */
export function rotationOf(oldKeyId: string, vkey: string) {
  return { action: keyRotated, target: { type: "audit_key", id: `${oldKeyId} ${vkey}` } };
}

/** A checkpoint that none of the trail's keys signed stood where the next one was to be. Verification finds it by itself. */
export function foreignCheckpoint(size: number) {
  return {
    action: "audit.checkpoint_foreign" as const,
    target: { type: "audit_checkpoint", id: String(size) },
  };
}

const announcement = Buffer.from('{"action":"audit.key_');

/** Whether an entry's bytes begin as those do that announce a key. */
export function mayAnnounceKey(leaf: Uint8Array): boolean {
  return announcement.every((byte, i) => leaf[i] === byte);
}

/** The signing key that an entry announces; `null` when it announces none. */
export function keyAnnouncedBy({ action, target }: Said): string | null {
  if (target?.type !== "audit_key") return null;
  if (action === keyCreated) return isVerifier(target.id) ? target.id : null;
  if (action !== keyRotated) return null;
  const vkey = target.id.replace(/^[0-9a-f]{8} /, "");
  return isVerifier(vkey) ? vkey : null;
}
