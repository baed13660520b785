import { type Buffer, isAscii, isUtf8 } from "node:buffer";
import type { Leaf } from "./leaf.ts";
import { joinSegments, leafSegments } from "./leaf-text.ts";

/**
 * Reads a leaf: exactly the bytes that are written for it, and no others, which could mean two things to two readers.
 *
 * @returns `null` when the bytes are no leaf
 */
export function parseLeaf(bytes: Buffer): Leaf | null {
  if (isAscii(bytes)) {
    const text = bytes.toString("latin1");
    return parsePlain(text) ?? parseAny(text);
  }
  return isUtf8(bytes) ? parseAny(bytes.toString("utf8")) : null;
}

/** ASCII that stands in JSON as it is, in quotes. */
const text = '"([ !#-\\[\\]-~]*)"';

/**
 * A leaf whose strings need no escapes, with at most one part, as nearly all are. Since the schema is closed, what matches is
 * canonical: nothing is left open but the strings. It takes an eighth of the time of parsing JSON and writing it again.
 */
const plainLeaf = new RegExp(
  `^\\{"action":${text},"actor":\\{"id":${text},"type":${text}\\},` +
    `(?:"agent":\\{"id":${text}(?:,"model":${text})?(?:,"run":${text})?\\},)?(?:"corr":${text},)?"id":${text},"log":${text},` +
    `(?:"occurred":${text},)?"outcome":${text},"parts":\\{(?:${text}:${text})?\\},"prev":${text},` +
    `(?:"project":${text},)?(?:"risk":${text},)?"seq":(0|[1-9]\\d{0,15}),` +
    `(?:"target":\\{"id":${text},"type":${text}\\},)?"ts":${text},"v":1\\}$`,
);

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

function parsePlain(leafText: string): Leaf | null {
  const found = plainLeaf.exec(leafText);
  if (found === null) return null;
  const [, action, actorId, actorType, agentId, model, run, corr, id, log, ...more] = found;
  const [occurred, outcome, partName, part, prev, project, risk, seq, targetId, targetType, ts] =
    more;
  const leaf: Writable<Record<string, unknown>> = {
    v: 1,
    action,
    actor: { id: actorId, type: actorType },
    id,
    log,
    outcome,
    parts: partName === undefined ? {} : { [partName]: part },
    prev,
    seq: Number(seq),
    ts,
  };
  if (agentId !== undefined)
    leaf["agent"] = {
      id: agentId,
      ...(model !== undefined && { model }),
      ...(run !== undefined && { run }),
    };
  if (corr !== undefined) leaf["corr"] = corr;
  if (occurred !== undefined) leaf["occurred"] = occurred;
  if (project !== undefined) leaf["project"] = project;
  if (risk !== undefined) leaf["risk"] = risk;
  if (targetId !== undefined) leaf["target"] = { id: targetId, type: targetType };
  return Number.isSafeInteger(leaf["seq"]) ? (leaf as unknown as Leaf) : null;
}

/** What was read is written again and compared: an unknown or doubled field, other spacing, order or escapes are all refused. */
function parseAny(leafText: string): Leaf | null {
  try {
    const leaf = JSON.parse(leafText) as Leaf;
    const content = { ...leaf, correlationId: leaf.corr, occurredAt: leaf.occurred };
    const again = joinSegments(leafSegments(content, leaf.parts), leaf);
    return again === leafText && Number.isSafeInteger(leaf.seq) && isPlaced(leaf) ? leaf : null;
  } catch {
    return null; // Not JSON, or not of a leaf's shape.
  }
}

const plain = /^[ !#-[\]-~]*$/;

/** Whether what {@link joinSegments} doesn't quote, since a trail's own values never need it, is text without need of it. */
function isPlaced({ log, prev, ts }: Leaf): boolean {
  return [log, prev, ts].every((value) => typeof value === "string" && plain.test(value));
}
