import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { removeScratch } from "../../../../tooling/secrets.ts";
import type { BundleFile } from "../../src/audit/bundle/layout.ts";
import { tarOf } from "../../src/audit/bundle/tar.ts";
import { formatVerifier } from "../../src/audit/signed-note.ts";
import { type AuditVerifyInput, verifyBundle } from "../../src/index.ts";
import { expectCode } from "../support/expect-code.ts";
import { folderOf, type SampleTrail, sampleFiles, sampleTrail } from "./sample.ts";

const trail = sampleTrail({ size: 23, signedAt: [1, 5, 16], rotatedAt: 16, erased: 4 });
const [first = "", second = ""] = trail.signers.map(formatVerifier);
const everything = {
  verdict: "ok",
  size: 23,
  anchoredSize: 23,
  redacted: 1,
  firstFailure: null,
  warnings: [],
};

async function verify(
  files: readonly BundleFile[],
  input: AuditVerifyInput = { trustedKeys: [second] },
) {
  return verifyBundle(await folderOf(files), input);
}

/** The sample's files, of which some are changed, by the beginning of their names; `null` takes one away. */
async function changed(
  changes: Readonly<Record<string, ((text: string) => string) | null>>,
  of: SampleTrail = trail,
): Promise<BundleFile[]> {
  return (await sampleFiles(of)).flatMap((file) => {
    const [, change] = Object.entries(changes).find(([start]) => file.name.startsWith(start)) ?? [];
    if (change === undefined) return [file];
    if (change === null) return [];
    const before = Buffer.from(file.content).toString("utf8");
    if (change(before) === before) throw new Error(`nothing changed in ${file.name}`);
    return [{ ...file, content: Buffer.from(change(before)) }];
  });
}

describe("a bundle as it was exported", () => {
  test("is ok by a key that the caller trusts, or by a checkpoint that was kept", async () => {
    const files = await sampleFiles(trail);
    expect(await verify(files)).toMatchObject({
      ...everything,
      log: trail.log,
      root: trail.checkpoints.at(-1)?.root,
      checks: { content: 23, link: 23, time: 23, parts: 23, projection: 0, signature: 4 },
    });
    expect(await verify(files, { trustedKeys: [first, second] })).toMatchObject(everything);
    expect(await verify(files, { trustedKeys: [second], depth: "hashes" })).toMatchObject({
      verdict: "ok",
      checks: { content: 23, time: 0 },
    });
    const kept = trail.checkpoints[1]?.note ?? "";
    expect(await verify(files, { checkpoint: kept })).toMatchObject({
      verdict: "ok",
      anchoredSize: 5,
      checks: { consistency: 1 },
    });
  });

  test("is unanchored by itself", async () => {
    const result = await verify(await sampleFiles(trail), {});
    expect(result).toMatchObject({
      ...everything,
      verdict: "unanchored",
      anchoredSize: 0,
      warnings: [expect.stringMatching(/^Nothing outside/)],
    });
  });

  test("is as good in a tar, which leaves nothing behind", async () => {
    const path = join(await folderOf([]), "bundle.tar");
    const files = await sampleFiles(trail);
    await writeFile(path, tarOf(each(files), new Date(0)));
    expect(await verifyBundle(path, { trustedKeys: [second] })).toMatchObject(everything);
  });

  test("tells how far it is", async () => {
    const told: unknown[] = [];
    await verifyBundle(await folderOf(await sampleFiles(trail)), {
      onProgress: (progress) => told.push(progress),
    });
    expect(told.at(-1)).toEqual({ checked: 23, size: 23 });
  });
});

describe("a bundle that was changed is tampered with, and the place is named:", () => {
  const denied = (text: string) => text.replace('"outcome":"denied"', '"outcome":"success"');
  test.each<[string, Parameters<typeof changed>[0], object]>([
    [
      "an entry",
      { "entries/": denied },
      {
        seq: 2,
        check: "content",
        message: expect.stringMatching(
          /^entry 2: stored outcome "success", sealed outcome "denied"/,
        ),
      },
    ],
    ["a detail", { "parts/": (text) => text.replace("null", "true") }, { seq: 2, check: "parts" }],
    [
      "a detail that is gone",
      { "parts/": (text) => text.replace(/^[^\n]*\n/, "") },
      {
        seq: 1,
        check: "parts",
        message: expect.stringMatching(/no entry says that it was erased/),
      },
    ],
    [
      "a signature",
      { "checkpoints/0000000000000005": (text) => text.replace(/([^ ]{4})\n$/, "AAA=\n") },
      { check: "signature" },
    ],
    [
      "a root",
      {
        "checkpoints/0000000000000005": (text) => text.replace(/\n[^\n]{4}([^\n]*=\n)/, "\nAAAA$1"),
      },
      { check: "signature" },
    ],
    [
      "a head",
      { "manifest.json": (text) => text.replace(/"head": "[0-9a-f]{4}/, '"head": "0000') },
      { seq: 22, check: "link" },
    ],
    [
      "a size",
      { "manifest.json": (text) => text.replace('"size": 23', '"size": 22') },
      { seq: 21, check: "link" },
    ],
    [
      "a line behind the last one",
      { "entries/": (text) => text + text.slice(text.lastIndexOf("\n", text.length - 2) + 1) },
      { seq: 23, check: "link", expected: "23 entries", actual: "24 entries" },
    ],
    [
      "a key",
      { [`keys/${trail.signers[1]?.keyId}.vkey`]: () => `${first}x` },
      { check: "signature" },
    ],
  ])("%s", async (_what, changes, failure) => {
    const result = await verify(await changed(changes));
    expect(result).toMatchObject({ verdict: "tampered", firstFailure: failure });
    expect(result.warnings.at(-1)).toMatch(/ is not what SHA256SUMS says/);
  });

  test("a file behind the last one", async () => {
    for (const name of ["entries/0000000000000023.jsonl", "parts/0000000000000099.jsonl"]) {
      const files = [...(await sampleFiles(trail)), { name, content: Buffer.from("{}\n") }];
      expect(await verify(files)).toMatchObject({
        verdict: "tampered",
        firstFailure: { seq: 23, check: "link", actual: name },
      });
    }
  });

  test("the whole of it, by a trusted key or a kept checkpoint of another trail", async () => {
    const files = await sampleFiles(trail);
    const other = "codespar/log/0123456789abcdef0123456789abcdef+f77f2f8d+AQ";
    await expectCode(verify(files, { trustedKeys: [other] }), "VALIDATION");
    const longer = sampleTrail({ size: 40, signedAt: [23] }).checkpoints;
    // Of what the bundle doesn't reach nobody can tell.
    expect(await verify(files, { checkpoint: longer[1]?.note ?? "" })).toMatchObject({
      verdict: "outdated",
      anchoredSize: 0,
      firstFailure: null,
    });
    expect(await verify(files, { checkpoint: longer[0]?.note ?? "" })).toMatchObject({
      verdict: "tampered",
      firstFailure: { check: "consistency" },
    });
  });
});

describe("a bundle of which something is missing is incomplete, and says what:", () => {
  test.each<[string, Parameters<typeof changed>[0], RegExp]>([
    ["the manifest", { "manifest.json": null }, /^manifest.json is missing: this is no bundle/],
    [
      "the sums",
      { SHA256SUMS: null },
      /^SHA256SUMS, the last file of a bundle, is missing or not whole/,
    ],
    ["the README", { "README.md": null }, /^README.md is missing/],
    ["a checkpoint", { "checkpoints/0000000000000005": null }, /^checkpoints\/0+5.txt is missing/],
    [
      "the newest checkpoint, and its sum",
      {
        "checkpoints/0000000000000023": null,
        SHA256SUMS: (text) => text.replace(/^.*checkpoints\/0+23.*\n/m, ""),
      },
      /^checkpoints\/0+23.txt is missing, the checkpoint that the export is bound to/,
    ],
    ["the details", { "parts/": null }, /^parts\/0+.jsonl is missing: nothing from entry 0 on/],
    ["the entries", { "entries/": null }, /^Entries from 0 on are missing/],
    [
      "the end of the entries",
      { "entries/": (text) => text.slice(0, -30) },
      /^entries\/0+.jsonl breaks off in entry 22/,
    ],
    ["the end of the details", { "parts/": (text) => text.slice(0, -3) }, /breaks off in line 13/],
    [
      "a part in a line",
      { "parts/": (text) => text.replace("seq", "sek") },
      /has no part in line 1/,
    ],
    [
      "a part's entry",
      { "parts/": (text) => text + text.replace(/\n.*/s, "\n").replace('"seq":1', '"seq":99') },
      /has a part of entry 99\./,
    ],
    [
      "a known version",
      { "manifest.json": (text) => text.replace("bundle/1", "bundle/2") },
      /^manifest.json is none that this version knows: format/,
    ],
  ])("%s", async (_what, changes, message) => {
    const result = await verify(await changed(changes), {});
    expect(result).toMatchObject({ verdict: "incomplete", firstFailure: null });
    expect(result.warnings[0]).toMatch(message);
  });

  test("its end, wherever the export broke off and whatever it is held against", async () => {
    // As it is written while details are erased: once with them, once more without them.
    const before = sampleTrail({ size: 23, signedAt: [1, 5, 16], erased: 4, revived: true });
    const entries = before.entries.map((entry) =>
      entry.seq === 4 ? { ...entry, parts: [] } : entry,
    );
    const isParts = ({ name }: BundleFile) => name.startsWith("parts/");
    const stale = (await sampleFiles(before)).filter(isParts);
    const files = (await sampleFiles({ ...before, entries })).flatMap((file) =>
      isParts(file) ? [...stale, file] : [file],
    );
    for (const input of [
      { trustedKeys: [first] },
      { checkpoint: before.checkpoints[1]?.note ?? "" },
    ]) {
      for (let written = 0; written < files.length; written += 1) {
        const { verdict, firstFailure } = await verify(files.slice(0, written), input);
        expect([written, verdict, firstFailure]).toEqual([written, "incomplete", null]);
      }
      expect(await verify(files, input)).toMatchObject({ verdict: "ok", redacted: 1 });
    }
  });

  test("all of it", async () => {
    expect(await verify([], {})).toMatchObject({ verdict: "incomplete", size: 0 });
    const path = join(await folderOf([]), "photo.tar");
    await writeFile(path, "not a tar at all ".repeat(100));
    const result = await verifyBundle(path);
    expect(result).toMatchObject({ verdict: "incomplete", size: 0 });
    expect(result.warnings[0]).toMatch(/^The tar can't be read to its end/);
  });

  test("a piece in the middle, and what is wrong before it still counts", async () => {
    const large = await sampleFiles(sampleTrail({ size: 40, heavy: 400_000 }));
    const pieces = large.filter(({ name }) => name.startsWith("entries/"));
    expect(pieces.length).toBeGreaterThan(2);
    const gap = large.filter((file) => file !== pieces[1]);
    const seq = Number(/\d+/.exec(pieces[1]?.name ?? "")?.[0]);
    const result = await verify(gap, {});
    expect(result).toMatchObject({ verdict: "incomplete", checks: { content: seq } });
    expect(result.warnings[0]).toContain(`Entries from ${seq} on are missing`);
  });
});

test("a path that can't be used, or was taken back, is an error", async () => {
  const folder = await folderOf(await sampleFiles(trail));
  await expectCode(verifyBundle(join(folder, "nowhere")), "NOT_FOUND");
  await expectCode(verifyBundle(""), "VALIDATION");
  await expectCode(verifyBundle(folder, { trustedKeys: ["no key"] }), "VALIDATION");
  await expectCode(verifyBundle(folder, { checkpoint: "no note" }), "VALIDATION");
  await expectCode(verifyBundle(folder, { signal: AbortSignal.abort() }), "ABORTED");
});

test("whatever is changed, cut or taken away, it is noticed and nothing throws", async () => {
  const files = await sampleFiles(trail);
  const damage = fc.record({
    file: fc.nat({ max: files.length - 1 }),
    at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    kind: fc.oneof(
      fc.constant("cut" as const),
      fc.constant("gone" as const),
      fc.integer({ min: 1, max: 255 }),
    ),
  });
  await fc.assert(
    fc.asyncProperty(damage, async ({ file, at, kind }) => {
      const damaged = files.flatMap((each, i) => {
        if (i !== file) return [each];
        if (kind === "gone") return [];
        const content = Buffer.from(each.content);
        const place = Math.floor(at * content.length);
        if (kind === "cut") return [{ ...each, content: content.subarray(0, place) }];
        content[place] = (content[place] ?? 0) ^ kind;
        return [{ ...each, content }];
      });
      const folder = await folderOf(damaged);
      const { verdict, warnings } = await verifyBundle(folder, { trustedKeys: [second] });
      await removeScratch(folder);
      expect({ verdict, warnings }).not.toEqual({ verdict: "ok", warnings: [] });
      if (kind === "gone") expect(["incomplete", "tampered"]).toContain(verdict);
    }),
    { numRuns: 150 },
  );
});

async function* each<Item>(items: readonly Item[]): AsyncGenerator<Item> {
  yield* items;
}
