import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const folder = new URL("./vectors/", import.meta.url);

/** The objects of a file of vectors, one a line. */
export function readVectors<Vector>(name: string): Vector[] {
  const lines = readFileSync(new URL(`${name}.jsonl`, folder), "utf8")
    .trim()
    .split("\n");
  return lines.map((line) => JSON.parse(line) as Vector);
}

/**
 * The doubles of the published sequence for RFC 8785: some chosen ones, 2,000 on the border of what is subnormal, then those in a
 * chain of SHA-256 hashes that began with 32 zero bytes, little endian.
 */
export function* es6Numbers(): Generator<number> {
  const chosen = readFileSync(new URL("es6-numbers.txt", folder), "utf8").trim().split(/\s+/);
  const bytes = Buffer.alloc(8);
  for (const hex of chosen) yield Buffer.from(hex, "hex").readDoubleBE();
  for (let i = 0; i < 2000; i += 1) {
    bytes.writeBigUInt64BE(0x0010000000000000n + BigInt(i));
    yield bytes.readDoubleBE();
  }
  for (let block = Buffer.alloc(32); ; ) {
    block = createHash("sha256").update(block).digest();
    for (let at = 0; at < block.length; at += 8) {
      const value = block.readDoubleLE(at);
      if (value !== 0 && Number.isFinite(value)) yield value;
    }
  }
}

/** The bits of a double as the published file writes them: hexadecimal, without leading zeros. */
export function bitsOf(value: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes.readBigUInt64BE().toString(16);
}
