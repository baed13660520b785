import fc from "fast-check";
import { expect, test } from "vitest";
import { type Deployment, StorageError } from "../../src/index.ts";
import { administration, archiveOf } from "../support/administration.ts";
import { type ArchiveLine, parsedLines, relinked, sealedArchive } from "../support/archives.ts";
import { describeEachBackend, type TestBackend } from "../support/backends.ts";
import { fillOrganisation } from "../support/organisations.ts";

const rounds = Number(process.env["CODESPAR_TEST_ROUNDS"] ?? 1);

/** What a value may become: of every type, and what looks right. */
const value = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    0,
    -1,
    1.5,
    2 ** 53,
    "",
    "x",
    [],
    {},
    [null],
    ["read"],
  ),
  fc.constantFrom<unknown>(
    "active",
    "root",
    "Ü ñ",
    "\u0000",
    "\ud800",
    "a".repeat(2000),
    "0000000000000000",
    "00000001",
    "2026-02-30T00:00:00.000Z",
    "2026-01-31T12:00:00Z",
    "2999-01-31T12:00:00.000Z",
    "0".repeat(64),
    "v1.key.short",
    ["read", "read"],
    ["everything"],
    { nested: [1, { __proto__: null, deep: "x" }] },
  ),
  fc.string({ maxLength: 12 }),
  fc.jsonValue({ maxDepth: 2 }),
);

const place = fc.nat();
const mutation = fc.oneof(
  fc.record({ kind: fc.constantFrom("delete", "duplicate"), at: place }),
  fc.record({ kind: fc.constant("swap" as const), at: place, with: place }),
  fc.record({ kind: fc.constant("alter" as const), at: place, member: place, value }),
  fc.record({ kind: fc.constant("exchange" as const), at: place, member: place, with: place }),
  fc.record({ kind: fc.constant("remove" as const), at: place, member: place }),
  fc.record({ kind: fc.constant("add" as const), at: place, name: fc.string(), value }),
  fc.record({ kind: fc.constant("alter leaf" as const), at: place, member: place, value }),
  fc.record({ kind: fc.constant("damage" as const), at: place, member: place }),
);
type Mutation = typeof mutation extends fc.Arbitrary<infer Kind> ? Kind : never;

/** Does it to one line, or two, of those between the first and the last. */
function mutated(lines: readonly string[], how: Mutation): string[] {
  const changed = [...lines];
  const at = 1 + (how.at % (lines.length - 1));
  const line = lines[at] ?? "";
  const other = "with" in how ? 1 + (how.with % (lines.length - 1)) : at;
  const otherLine = lines[other] ?? "";
  if (how.kind === "delete") changed.splice(at, 1);
  else if (how.kind === "duplicate") changed.splice(at, 0, line);
  else if (how.kind === "swap") [changed[at], changed[other]] = [otherLine, line];
  else if (how.kind === "damage") {
    const cut = ("member" in how ? how.member : 0) % line.length;
    changed[at] = `${line.slice(0, cut)}~${line.slice(cut + 1)}`;
  } else changed[at] = JSON.stringify(altered(JSON.parse(line) as ArchiveLine, how, otherLine));
  return changed;
}

function altered(members: ArchiveLine, how: Mutation, otherLine: string): ArchiveLine {
  if (how.kind === "alter leaf") {
    const { leaf } = members;
    if (typeof leaf !== "string" || !("member" in how) || !("value" in how)) return members;
    const inner = JSON.parse(leaf) as ArchiveLine;
    return {
      ...members,
      leaf: JSON.stringify({ ...inner, [nameIn(inner, how.member)]: how.value }),
    };
  }
  if (how.kind === "add" && "name" in how) return { ...members, [how.name]: how.value };
  if (!("member" in how)) return members;
  const name = nameIn(members, how.member);
  if (how.kind === "remove") {
    const { [name]: _, ...rest } = members;
    return rest;
  }
  if (how.kind === "exchange")
    return { ...members, [name]: (JSON.parse(otherLine) as ArchiveLine)[name] ?? null };
  return "value" in how ? { ...members, [name]: how.value } : members;
}

function nameIn(members: ArchiveLine, at: number): string {
  const names = Object.keys(members);
  return names[at % names.length] ?? "";
}

/** Imports it: the organisation then holds what the archive says, or nothing. */
async function takeOver(
  backend: TestBackend,
  { organisations }: Deployment,
  archive: string,
): Promise<boolean> {
  const { orgId } = backend;
  const read = async function* () {
    yield archive;
  };
  try {
    await organisations.import(orgId, read);
  } catch (error) {
    if (!StorageError.is(error, "VALIDATION")) throw error;
    expect(error.message).toMatch(/^(?:Line \d+ of the archive |This is )/);
    expect(error.message.length).toBeLessThan(600);
    expect(await organisations.get(orgId)).toBeNull();
    return false;
  }
  const again = parsedLines(await archiveOf({ organisations } as Deployment, orgId)).slice(1, -1);
  const said = parsedLines(archive)
    .slice(1, -1)
    .filter(({ expires_at: at }) => typeof at !== "string" || at > backend.clock.iso());
  expect(again.slice(0, -2)).toEqual(said);
  await organisations.erase(orgId, { confirm: orgId });
  return true;
}

const suite = { targetPerTest: true, otherProcesses: true };

describeEachBackend("an archive of which one line was changed", suite, (backend) => {
  async function property(archive: string, deployment: Deployment, runs: number): Promise<number> {
    const lines = archive.trimEnd().split("\n");
    const closing = JSON.parse(lines.pop() ?? "") as ArchiveLine;
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(mutation, fc.boolean(), async (how, relink) => {
        const changed = mutated(lines, how);
        const forged = sealedArchive(relink ? relinked(changed) : changed, closing);
        if (await takeOver(backend, deployment, forged)) taken += 1;
      }),
      { numRuns: runs * rounds },
    );
    return taken;
  }

  test("is refused before anything is written, or is what the organisation then holds", async () => {
    const { storage, deployment } = administration(backend);
    const { orgId } = backend;
    await fillOrganisation(storage, orgId);
    const all = (await archiveOf(deployment, orgId)).trimEnd().split("\n");
    const closing = JSON.parse(all.pop() ?? "") as ArchiveLine;
    // A row of each kind is enough.
    const archive = sealedArchive(
      all.filter((line) => !line.includes('"agent_id":"bulk"')),
      closing,
    );
    await deployment.organisations.erase(orgId, { confirm: orgId });
    await property(archive, deployment, 150);
  });

  test("is so where no checkpoint vouches for the trail", async () => {
    const { storage, deployment } = administration(backend);
    const { orgId } = backend;
    await storage.projects.create({ id: "p1", name: "One" });
    await storage.projects.create({ id: "p2", name: "Two", repository: "o/r" });
    await storage.agentStates.set("coder", { status: "active" });
    await storage.subscribers.subscribe("reader@example.org");
    await storage.memory.set("coder", "k", { a: 1 }, { ttlMs: 3_600_000 });
    await storage.apiKeys.create({ name: "ci", scopes: ["read", "admin"] });
    await storage.audit.intent({ action: "deploy.started", details: { to: "production" } });
    const archive = await archiveOf(deployment, orgId);
    await deployment.organisations.erase(orgId, { confirm: orgId });
    expect(await property(archive, deployment, 150)).toBeGreaterThan(0);
  });
});
