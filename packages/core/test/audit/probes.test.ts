import { describe, expect, test } from "vitest";
import { type Hash, verifyConsistency, verifyInclusion } from "../../src/audit/merkle.ts";
import { readVectors } from "./vectors.ts";

interface Probe {
  readonly file: string;
  readonly desc: string;
  readonly proof: readonly string[] | null;
  readonly wantErr: boolean;
}
interface InclusionProbe extends Probe {
  readonly leafIdx: number;
  readonly treeSize: number;
  readonly root: string;
  readonly leafHash: string;
}
interface ConsistencyProbe extends Probe {
  readonly size1: number;
  readonly size2: number;
  readonly root1: string;
  readonly root2: string;
}

const hash = (base64: string): Hash => Buffer.from(base64, "base64");
const hashes = (proof: Probe["proof"]) => (proof ?? []).map(hash);

/** Nearly all of them are proofs that prove nothing. */
describe("the published probes of transparency-dev/merkle", () => {
  const inclusions = readVectors<InclusionProbe>("inclusion");
  const consistencies = readVectors<ConsistencyProbe>("consistency");

  test("are all there", () => {
    expect([inclusions.length, consistencies.length]).toEqual([98, 98]);
  });

  test.each(inclusions)("$file: $desc", ({ proof, leafIdx, leafHash, treeSize, root, wantErr }) => {
    const leaf = { seq: leafIdx, hash: hash(leafHash) };
    const tree = { size: treeSize, root: hash(root) };
    expect(verifyInclusion(hashes(proof), leaf, tree)).toBe(!wantErr);
  });

  test.each(consistencies)("$file: $desc", ({ proof, wantErr, ...trees }) => {
    const first = { size: trees.size1, root: hash(trees.root1) };
    const second = { size: trees.size2, root: hash(trees.root2) };
    expect(verifyConsistency(hashes(proof), first, second)).toBe(!wantErr);
  });
});
