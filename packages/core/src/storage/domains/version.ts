import { freshText } from "../../crypto/random.ts";

/** A version that nobody has used before, and that tells nothing of any other: 120 random bits in 20 letters. */
export function newVersion(): string {
  return freshText(15);
}
