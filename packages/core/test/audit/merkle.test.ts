import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { leafHash } from "../../src/audit/leaf.ts";
import {
  CompactRange,
  consistencyProof,
  emptyRoot,
  type Hash,
  inclusionProof,
  nodeHash,
  treeRoot,
  verifyConsistency,
  verifyInclusion,
} from "../../src/audit/merkle.ts";

const hex = (hash: Hash) => Buffer.from(hash).toString("hex");
const base64 = (hash: Hash) => Buffer.from(hash).toString("base64");
const leafOf = (bytes: Uint8Array | string): Hash => Buffer.from(leafHash(bytes), "hex");

// The published vectors of transparency-dev/merkle (testonly/constants.go, rfc6962_test.go).
const leaves = [
  "",
  "00",
  "10",
  "2021",
  "3031",
  "40414243",
  "5051525354555657",
  "606162636465666768696a6b6c6d6e6f",
].map((bytes) => leafOf(Buffer.from(bytes, "hex")));
const roots = [
  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

/** All complete subtrees of a tree, and how many of them were read. */
function treeOf(hashes: readonly Hash[]) {
  const nodes = new Map<string, Hash>();
  const range = new CompactRange();
  for (const [i, hash] of hashes.entries()) {
    nodes.set(`0 ${i}`, hash);
    range.add(hash, (level, index, node) => nodes.set(`${level} ${index}`, node));
  }
  const tree = { range, reads: 0, read };
  function read(level: number, index: number): Hash {
    tree.reads += 1;
    const node = nodes.get(`${level} ${index}`);
    if (node === undefined) throw new Error(`there is no complete subtree ${level} ${index}`);
    return node;
  }
  return tree;
}

/** MTH as RFC 6962 §2.1 defines it, from all leaves. */
function rootByDefinition(hashes: readonly Hash[]): Hash {
  const [first, ...others] = hashes;
  if (first === undefined) return emptyRoot();
  if (others.length === 0) return first;
  let split = 1;
  while (split * 2 < hashes.length) split *= 2;
  return nodeHash(rootByDefinition(hashes.slice(0, split)), rootByDefinition(hashes.slice(split)));
}

describe("the published vectors:", () => {
  test("leaves and nodes", () => {
    expect(leafHash("")).toBe(roots[1]);
    expect(leafHash("L123456")).toBe(
      "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56",
    );
    expect(base64(leafOf("hello world"))).toBe("TszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=");
    expect(hex(nodeHash(Buffer.from("N123"), Buffer.from("N456")))).toBe(
      "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb",
    );
  });

  test.each(roots.map((root, size) => ({ size, root })))(
    "root of $size leaves",
    ({ size, root }) => {
      const { range, read } = treeOf(leaves.slice(0, size));
      expect(hex(range.root())).toBe(root);
      expect(hex(treeRoot(size, treeOf(leaves).read))).toBe(root);
      expect(hex(treeRoot(size, read))).toBe(root);
    },
  );

  test("inclusion of leaf 0 among 8", () => {
    const proof = inclusionProof(0, 8, treeOf(leaves).read);
    expect(proof.map(base64)).toEqual([
      "lqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c=",
      "Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=",
      "a0eq8p7jwq+a+Im8H7klTavTEXfxYjLdaqsDXKOb9uQ=",
    ]);
  });

  test("consistency of 6 leaves with 8", () => {
    const proof = consistencyProof(6, 8, treeOf(leaves).read);
    expect(proof.map(base64)).toEqual([
      "DrxdNDf74tsVi58Sah0RjjCBgQMdCpSfje3t68VY72o=",
      "yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=",
      "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=",
    ]);
  });
});

const sizes = fc.integer({ min: 1, max: 200 });
const hashes = (size: number) => Array.from({ length: size }, (_, i) => leafOf(`leaf ${i}`));

describe("for trees of any size", () => {
  test("the compact range and the stored nodes give the root by definition", () => {
    const property = fc.property(sizes, (size) => {
      const all = hashes(size);
      const { range, read } = treeOf(all);
      const root = hex(rootByDefinition(all));
      expect(hex(range.root())).toBe(root);
      expect(hex(treeRoot(size, read))).toBe(root);
    });
    fc.assert(property);
  });

  test("an inclusion proof holds, and no changed one does", () => {
    const property = fc.property(
      sizes,
      fc.nat(),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (size, at, where, flip) => {
        const seq = at % size;
        const all = hashes(size);
        const { range, read } = treeOf(all);
        const leaf = { seq, hash: all[seq] ?? emptyRoot() };
        const tree = { size, root: range.root() };
        const proof = inclusionProof(seq, size, read);
        expect(verifyInclusion(proof, leaf, tree)).toBe(true);
        for (const bad of mutations(proof, where, flip))
          expect(verifyInclusion(bad, leaf, tree)).toBe(false);
        const otherLeaf = { ...leaf, hash: flipped(leaf.hash, where, flip) };
        expect(verifyInclusion(proof, otherLeaf, tree)).toBe(false);
        const otherRoot = { size, root: flipped(tree.root, where, flip) };
        expect(verifyInclusion(proof, leaf, otherRoot)).toBe(false);
        const other = (seq + 1 + (where % size)) % size;
        if (other !== seq)
          expect(verifyInclusion(proof, { ...leaf, seq: other }, tree)).toBe(false);
        for (const wrong of [-1, size, 0.5, Number.NaN, 2 ** 60])
          expect(verifyInclusion(proof, { ...leaf, seq: wrong }, tree)).toBe(false);
      },
    );
    fc.assert(property);
  });

  test("a consistency proof holds, and no changed one does", () => {
    const property = fc.property(
      sizes,
      fc.nat(),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (size, at, where, flip) => {
        const firstSize = 1 + (at % size);
        const all = hashes(size);
        const first = { size: firstSize, root: treeOf(all.slice(0, firstSize)).range.root() };
        const second = { size, root: treeOf(all).range.root() };
        const proof = consistencyProof(firstSize, size, treeOf(all).read);
        expect(verifyConsistency(proof, first, second)).toBe(true);
        for (const bad of mutations(proof, where, flip))
          expect(verifyConsistency(bad, first, second)).toBe(false);
        const forked = { size: firstSize, root: flipped(first.root, where, flip) };
        expect(verifyConsistency(proof, forked, second)).toBe(false);
        const replaced = { size, root: flipped(second.root, where, flip) };
        expect(verifyConsistency(proof, first, replaced)).toBe(false);
        if (firstSize < size) expect(verifyConsistency(proof, second, first)).toBe(false);
      },
    );
    fc.assert(property);
  });

  test("proofs take few reads, also of a tree as large as numbers go", () => {
    const size = 2 ** 53 - 1;
    let reads = 0;
    const read = () => {
      reads += 1;
      return emptyRoot();
    };
    inclusionProof(2 ** 52 + 12_345, size, read);
    expect(reads).toBeLessThanOrEqual(2 * 53);
    reads = 0;
    consistencyProof(2 ** 51 + 3, size, read);
    expect(reads).toBeLessThanOrEqual(3 * 53);
  });
});

describe("what makes no sense", () => {
  test("has no proof", () => {
    const { read } = treeOf(leaves);
    for (const [seq, size] of [
      [8, 8],
      [-1, 8],
      [0, 0],
      [0.5, 8],
    ] as const)
      expect(() => inclusionProof(seq, size, read)).toThrow(RangeError);
    for (const [first, second] of [
      [0, 8],
      [8, 7],
      [1.5, 8],
      [1, Number.NaN],
    ] as const)
      expect(() => consistencyProof(first, second, read)).toThrow(RangeError);
  });

  test("is shown by none: every tree begins with the empty one", () => {
    const empty = { size: 0, root: emptyRoot() };
    const tree = { size: 8, root: treeOf(leaves).range.root() };
    expect(verifyConsistency([], empty, tree)).toBe(false);
    expect(verifyConsistency([], empty, empty)).toBe(false);
    expect(verifyConsistency([emptyRoot()], empty, tree)).toBe(false);
  });
});

/** Proofs that differ from this one: a flipped bit pattern, one hash more, one less, two swapped. */
function mutations(proof: readonly Hash[], where: number, flip: number): Hash[][] {
  const longer = [...proof, emptyRoot()];
  const [first] = proof;
  if (first === undefined) return [longer];
  const at = where % proof.length;
  const changed = proof.map((hash, i) => (i === at ? flipped(hash, where, flip) : hash));
  const swapped = proof.length < 2 ? [] : [[...proof.slice(1), first]];
  return [longer, [first, ...proof], proof.slice(1), proof.slice(0, -1), changed, ...swapped];
}

function flipped(hash: Hash, where: number, flip: number): Hash {
  const copy = Uint8Array.from(hash);
  const at = where % copy.length;
  copy[at] = (copy[at] ?? 0) ^ flip;
  return copy;
}
