import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { TestDatabase } from "../../../../tooling/postgres.ts";
import { migratedDatabase, query } from "./support.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await migratedDatabase();
});

afterAll(() => database.drop());

/** Whether PostgreSQL takes each for a signature. */
function verdicts(signed: readonly (readonly [Buffer, Buffer, Buffer])[]): Promise<unknown[]> {
  return query(
    database.url,
    "SELECT codespar.verify_25519(k, m, s) FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) WITH ORDINALITY AS u(k, m, s, n) ORDER BY n",
    [0, 1, 2].map((part) => signed.map((each) => each[part])),
  );
}

function example(message: Buffer): [Buffer, Buffer, Buffer] {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const key = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  return [key, message, sign(null, message, privateKey)];
}

function flipped(bytes: Buffer, bit: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return changed;
}

test("PostgreSQL takes every signature of Node's for one", async () => {
  const signed = Array.from({ length: 50 }, (_, n) => example(randomBytes(n * 3)));
  expect(new Set(await verdicts(signed))).toEqual(new Set([true]));
});

test("the vectors of RFC 8032 §7.1 hold", async () => {
  const hex = (text: string) => Buffer.from(text, "hex");
  const vectors = [
    [
      hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
      hex(""),
      hex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
      ),
    ],
    [
      hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"),
      hex("72"),
      hex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
      ),
    ],
  ] as const;
  expect(await verdicts(vectors)).toEqual([true, true]);
});

test("nothing else does", async () => {
  const [key, message, signature] = example(randomBytes(40));
  const l = 2n ** 252n + 27742317777372353535851937790883648493n;
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString("hex")}`) + l;
  const above = Buffer.from(s.toString(16).padStart(64, "0"), "hex").reverse();
  const bits = Array.from({ length: 16 }, (_, n) => n * 31 + 5);
  const wrong: [Buffer, Buffer, Buffer][] = [
    ...bits.map((bit): [Buffer, Buffer, Buffer] => [key, message, flipped(signature, bit)]),
    ...bits
      .slice(0, 8)
      .map((bit): [Buffer, Buffer, Buffer] => [flipped(key, bit), message, signature]),
    ...bits
      .slice(0, 8)
      .map((bit): [Buffer, Buffer, Buffer] => [key, flipped(message, bit), signature]),
    // The same number once more around: RFC 8032 refuses what isn't below the order.
    [key, message, Buffer.concat([signature.subarray(0, 32), above])],
    [Buffer.alloc(32, 0xff), message, signature],
    [key, message, signature.subarray(0, 63)],
    [key.subarray(1), message, signature],
    example(randomBytes(40)).with(0, key) as [Buffer, Buffer, Buffer],
  ];
  expect(new Set(await verdicts(wrong))).toEqual(new Set([false]));
});
