import { expect, test } from "vitest";
import { prepareEntry, sealEntry } from "../../src/audit/entry.ts";
import { changedWord } from "../../src/audit/sealed-word.ts";

const place = {
  log: "codespar/log/1",
  prev: "0".repeat(64),
  seq: 0,
  ts: "2026-01-01T00:00:00.000000Z",
};

function sealed(marks: string) {
  const content = {
    id: "1",
    actor: { type: "agent", id: `a ${marks}` },
    action: "deploy",
    outcome: "denied",
    risk: "high",
    target: { type: "agent", id: "t" },
  } as const;
  return sealEntry(prepareEntry(content, {}), place);
}

test.each([
  ["outcome", "denied", "success"],
  ["risk", "high", "low"],
  ["actorType", "agent", "user"],
] as const)("an entry whose %s was changed tells what it was", (field, word, stored) => {
  // A name that looks like the members that are searched for.
  const { leaf, hash } = sealed('"outcome":"error","risk":"low","type":"user"');
  const member = field === "actorType" ? "type" : field;
  const changed = leaf.replace(`"${member}":"${word}"`, `"${member}":"${stored}"`);
  expect(changed).not.toBe(leaf);
  expect(changedWord(Buffer.from(changed), hash)).toEqual({ field, stored, sealed: word });
});

test.each([
  ["another member", '"action":"deploy"', '"action":"delete"'],
  ["the other type", '"target":{"id":"t","type":"agent"', '"target":{"id":"t","type":"user"'],
  ["two words", '"outcome":"denied"', '"outcome":"error"'],
  ["what can stand there to what can't", '"outcome":"denied"', '"outcome":""'],
])("%s doesn't", (what, before, after) => {
  const { leaf, hash } = sealed("");
  const changed = leaf.replace(before, after);
  expect(changed).not.toBe(leaf);
  const twice = what === "two words" ? changed.replace('"risk":"high"', '"risk":"low"') : changed;
  expect(changedWord(Buffer.from(twice), hash)).toBeNull();
});
