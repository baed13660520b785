import { randomFillSync } from "node:crypto";

/** Three bytes are four letters. */
const bytes = 15;
const pool = Buffer.alloc(bytes * 256);
let used = pool.length;

/** A version that nobody has used before, and that tells nothing of any other: 120 random bits. */
export function newVersion(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += bytes;
  return pool.toString("base64url", used - bytes, used);
}
