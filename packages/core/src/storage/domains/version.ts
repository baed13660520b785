import { randomBytes } from "node:crypto";

const processPrefix = randomBytes(10).toString("base64url");
let counter = 0;

/** A version that no process has used before: 80 random bits per process, then a counter. */
export function newVersion(): string {
  counter += 1;
  return `${processPrefix}.${counter.toString(36)}`;
}
