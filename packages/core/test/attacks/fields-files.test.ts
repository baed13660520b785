import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { type AuditVerification, StorageError } from "../../src/index.ts";
import { sampled } from "../support/sampled.ts";
import { FileAttacker, withSum } from "./file-attacker.ts";
import { placeOn } from "./scene.ts";
import { places, verify } from "./victim.ts";

/* Every file of an organisation is changed, byte by byte; and what has a checksum also with the checksum made anew, field by field. */

describe("a changed file", () => {
  const place = placeOn("files", (options) => new FileAttacker(options));
  afterEach(() => place.restore());

  /** What verification says; `CORRUPTION` and why, when the files can't even be opened. */
  async function verdict(): Promise<Pick<AuditVerification, "verdict" | "firstFailure"> | string> {
    try {
      return await verify(place.attacker.options, "acme");
    } catch (error) {
      if (StorageError.is(error, "CORRUPTION")) return error.message;
      throw error;
    }
  }

  const path = (name: string) => join(place.attacker.folder("acme"), name);

  /** The entry that a byte belongs to, where it is known. */
  const entryAt: Readonly<Record<string, (bytes: Buffer, at: number) => number | null>> = {
    "audit_log.jsonl": (bytes, at) =>
      bytes.subarray(0, at).toString("latin1").split("\n").length - 1,
    "audit_parts.jsonl": (bytes, at) => {
      const start = bytes.lastIndexOf("\n", at - 1) + 1;
      const [prefix, seq] =
        /^\{"seq":(\d+),/.exec(bytes.toString("latin1", start, start + 40)) ?? [];
      // Of a number that was changed, or an erased line, only the neighbourhood is known.
      const inside = prefix !== undefined && at >= start + prefix.length && bytes[at] !== 0x0a;
      return inside ? Number(seq) : null;
    },
    audit_tiles: (_bytes, at) => Math.floor(at / 32),
  };

  const files: Readonly<Record<string, "located" | "refused">> = {
    "audit_log.jsonl": "located",
    "audit_parts.jsonl": "located",
    audit_tiles: "located",
    "snapshot.json": "refused",
    "audit_anchors.json": "refused",
    "audit_checkpoints.json": "refused",
    "audit_keys.json": "refused",
  };

  test("is one that a rule is given for, and every file has one", async () => {
    const names = (await readdir(place.attacker.folder("acme"))).filter(
      (name) => !/^journal-/.test(name),
    );
    expect(names.sort()).toEqual(Object.keys(files).sort());
  });

  test.each(Object.entries(files))(
    "%s is %s, whichever byte was flipped",
    async (name, rule) => {
      const intact = await readFile(path(name));
      const { first, stride, label } = sampled(Math.ceil(intact.length / 60));
      for (const at of new Set([0, intact.length - 1, ...everyNth(intact.length, first, stride)])) {
        const damaged = Buffer.from(intact);
        damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
        await writeFile(path(name), damaged);
        const what = `${name}, byte ${at}, ${label}`;
        const found = await verdict();
        if (rule === "refused") {
          expect(found, what).toEqual(expect.stringContaining(`${name}, byte `));
          continue;
        }
        expect(found, what).toMatchObject({ verdict: "tampered" });
        const seq = entryAt[name]?.(intact, at) ?? null;
        // What says that a part was erased is missed first where that part is.
        const first = seq === places.redaction ? places.redacted : seq;
        if (seq !== null) expect([seq, first], what).toContain(seqOf(found));
      }
    },
    300_000,
  );

  test.each(["audit_log.jsonl", "audit_parts.jsonl", "audit_tiles"])(
    "%s that is cut anywhere, or gone",
    async (name) => {
      const intact = await readFile(path(name));
      const { first, stride, label } = sampled(Math.ceil(intact.length / 20));
      for (const length of [0, intact.length - 1, ...everyNth(intact.length, first, stride)]) {
        await writeFile(path(name), intact.subarray(0, length));
        expect(await verdict(), `${name} of ${length} bytes, ${label}`).toMatchObject({
          verdict: "tampered",
          firstFailure: { seq: expect.any(Number) },
        });
      }
    },
    300_000,
  );

  test.each([5, 190, 285])(
    "the line of a part of %i that is taken out, or an earlier one in its place",
    async (at) => {
      const intact = await readFile(path("audit_parts.jsonl"), "utf8");
      const lineOf = (seq: number) =>
        intact.split(/(?<=\n)/).find((line) => line.startsWith(`{"seq":${seq},`)) ?? "";
      for (const instead of ["", lineOf(1)]) {
        await writeFile(path("audit_parts.jsonl"), intact.replace(lineOf(at), instead));
        expect(await verdict(), instead).toMatchObject({
          verdict: "tampered",
          firstFailure: {
            seq: at,
            check: "parts",
            message: `entry ${at}: its part "details" is missing, and no entry says that it was erased`,
          },
        });
      }
    },
  );

  /** What nothing in the trail says, or what is found only when it is used. */
  const unread: Readonly<Record<string, readonly string[]>> = {
    "snapshot.json": [
      "frame",
      "prev",
      "audit.ts",
      "audit.bytes",
      "organisation",
      "tables.audit_keys",
    ],
    "audit_anchors.json": ["anchor", "anchored_at"],
    "audit_checkpoints.json": [],
    "audit_keys.json": ["generation", "seed", "retired_at"],
  };
  const meta = ["version", "created_at", "updated_at", "expires_at"];

  test.each(Object.keys(unread))(
    "%s, field by field, with its checksum made anew",
    async (name) => {
      const intact = await readFile(path(name), "utf8");
      const missed: string[] = [];
      for (const [field, edited] of editedFields(intact)) {
        await writeFile(path(name), withSum(edited));
        const found = await verdict();
        if (typeof found !== "string" && found.verdict !== "tampered") missed.push(field);
      }
      const known = [...(unread[name] ?? []), ...(name === "snapshot.json" ? [] : meta)];
      expect(missed.filter((field) => !known.includes(field))).toEqual([]);
      expect(missed.length).toBeGreaterThan(0);
    },
  );
});

function seqOf(found: Pick<AuditVerification, "firstFailure"> | string): number | undefined {
  return typeof found === "string" ? undefined : found.firstFailure?.seq;
}

function* everyNth(length: number, first: number, stride: number): Generator<number> {
  for (let at = first; at < length; at += stride) yield at;
}

/** A file with another value in each of its fields in turn: of a table, in those of its last record. */
function* editedFields(text: string): Generator<[field: string, edited: string]> {
  const record = text.lastIndexOf('\n{"') + 1;
  const from = Math.max(record, 0);
  const members = /"([a-z_]+)":("(?:[^"\\]|\\.)*"|\d+|null|\{)/g;
  members.lastIndex = from;
  let within = "";
  for (let found = members.exec(text); found !== null; found = members.exec(text)) {
    const [whole, name = "", value = ""] = found;
    if (record > 0 && text.lastIndexOf("\n]", found.index) > from) return;
    if (name === "sum" || name === "format") continue;
    if (value === "{") {
      within = `${name}.`;
      continue;
    }
    const end = found.index + whole.length;
    const edited = `${text.slice(0, end - value.length)}${another(value)}${text.slice(end)}`;
    yield [within + name, edited];
    if (text[end] === "}") within = "";
  }
}

function another(value: string): string {
  if (value === "null") return '"2001-01-01T00:00:00.000Z"';
  if (/^\d/.test(value)) return String(Number(value) + 1);
  const middle = Math.floor(value.length / 2);
  return `${value.slice(0, middle)}${value[middle] === "1" ? "2" : "1"}${value.slice(middle + 1)}`;
}
