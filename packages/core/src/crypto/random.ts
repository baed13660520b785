import { randomFillSync } from "node:crypto";
import { V7Generator } from "uuidv7";

/** Taken from the operating system at once: asking for each value cost a seventh of an append. */
const pool = Buffer.alloc(4096);
let used = pool.length;

/** Moves on in the pool. @returns where in it bytes begin that nobody was given yet */
function take(length: number): number {
  if (length > pool.length) throw new RangeError(`at most ${pool.length} random bytes at once`);
  if (used + length > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += length;
  return used - length;
}

/**
 * Cryptographically strong random bytes, a copy of their own. For what is made with every call; a secret that is made once comes from
 * `randomBytes`, which leaves none of it behind in a pool.
 *
 * @param length - at most 4,096
 */
export function freshBytes(length: number): Uint8Array {
  const start = take(length);
  return Uint8Array.prototype.slice.call(pool, start, start + length);
}

/** Random bytes as base64url text without padding. @param length - in bytes, at most 4,096 */
export function freshText(length: number): string {
  const start = take(length);
  return pool.toString("base64url", start, start + length);
}

const ids = new V7Generator({ nextUint32: () => pool.readUInt32LE(take(4)) });

/** A new UUID of version 7 (RFC 9562 §5.7); those of one process sort in the order in which they were made. */
export function newId(): string {
  return ids.generate().toString();
}
