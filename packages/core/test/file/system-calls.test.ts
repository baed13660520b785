import { realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { removeScratch, scratchFolder } from "../../../../tooling/secrets.ts";
import { hasStrace, type SystemCall, systemCalls } from "./strace.ts";

describe.skipIf(!hasStrace())("what the operating system is asked (needs strace)", () => {
  let calls: SystemCall[];
  let organisation: string;

  beforeAll(async () => {
    const folder = await realpath(await scratchFolder("strace"));
    const directory = join(folder, "store");
    organisation = join(directory, "orgs", "acme");
    const program = fileURLToPath(new URL("./five-steps.ts", import.meta.url));
    calls = await systemCalls(join(folder, "calls"), program, directory);
    return () => removeScratch(folder);
  });

  const of = (names: RegExp) => calls.filter(({ name }) => names.test(name));
  const acknowledgements = () => of(/^write$/).filter(({ args }) => args.includes('"done '));

  /** Whether the call was made durable: a sync of that very path began after it ended, and ended before the other one began. */
  function isSynced(call: SystemCall, path: string, before: SystemCall): boolean {
    return of(/^f(data)?sync$/).some(
      ({ args, begin, end }) =>
        args.endsWith(`<${path}>`) && begin > call.end && end < before.begin,
    );
  }

  it("syncs each frame of the journal before it acknowledges", () => {
    const told = acknowledgements();
    expect(told).toHaveLength(5);
    for (const [i, acknowledged] of told.entries()) {
      const frame = of(/^pwrite64$/).find(({ args }) => args.includes(`{\\"frame\\":${i + 1},`));
      const path = /<([^>]*journal[^>]*)>/.exec(frame?.args ?? "")?.[1] ?? "";
      if (frame === undefined) return expect.fail(`frame ${i + 1} was never written`);
      expect(isSynced(frame, path, acknowledged), `frame ${i + 1}`).toBe(true);
    }
  });

  it("syncs the folders of what it made before it acknowledges what is in it", () => {
    const entries = new Map<string, SystemCall>();
    for (const call of of(/^(mkdir|openat)/)) {
      const path = target(call);
      const makes = call.name !== "openat" || call.args.includes("O_CREAT");
      if (makes && /\/(store|orgs|acme|journal-\d+\.jsonl)$/.test(path) && !entries.has(path))
        entries.set(path, call);
    }
    for (const [path, call] of entries) {
      const next = acknowledgements().find(({ begin }) => begin > call.end);
      if (next !== undefined) expect(isSynced(call, dirname(path), next), path).toBe(true);
    }
    expect([...entries.keys()].map((path) => basename(path))).toEqual(
      expect.arrayContaining([
        "store",
        "orgs",
        "acme",
        "journal-000001.jsonl",
        "journal-000002.jsonl",
      ]),
    );
  });

  it("syncs the folder after a rename before anything relies on it", () => {
    const renames = of(/^rename/).filter((call) => dirname(target(call)) === organisation);
    expect(renames.map((call) => basename(target(call)))).toEqual([
      "agent_memory.json",
      "snapshot.json",
      "agent_memory.json",
      "snapshot.json",
    ]);
    const relying = [
      ...acknowledgements(),
      ...renames.filter((call) => target(call).endsWith("/snapshot.json")),
      // What the snapshot replaces.
      ...of(/^unlink/).filter((call) => dirname(target(call)) === organisation),
    ];
    let checked = 0;
    for (const rename of renames) {
      for (const call of relying.filter(({ begin }) => begin > rename.end)) {
        expect(isSynced(rename, organisation, call), `${rename.args}, then ${call.args}`).toBe(
          true,
        );
        checked++;
      }
    }
    expect(checked).toBeGreaterThanOrEqual(8);
  });

  it("overwrites an erased part, and syncs that before the journal that held the part goes", () => {
    const parts = join(organisation, "audit_parts.jsonl");
    const overwrites = of(/^pwrite64$/).filter(
      ({ args }) => args.includes(`<${parts}>`) && / "? {20}/.test(args),
    );
    expect(overwrites).toHaveLength(1);
    const [overwrite] = overwrites;
    const erasing = acknowledgements()[4];
    const removed = of(/^unlink/).filter(({ args }) => args.includes("journal-000002"));
    expect(removed).toHaveLength(1);
    for (const call of removed) {
      if (overwrite === undefined || erasing === undefined)
        return expect.fail("nothing was erased");
      expect(call.begin).toBeGreaterThan(erasing.end);
      expect(isSynced(overwrite, parts, call)).toBe(true);
    }
  });
});

/** The path that a call makes or removes. */
function target({ args }: SystemCall): string {
  return [...args.matchAll(/"([^"]*)"/g)].at(-1)?.[1] ?? "";
}
