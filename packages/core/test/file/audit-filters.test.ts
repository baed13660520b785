import { describe, expect, it } from "vitest";
import { prepareEntry } from "../../src/audit/entry.ts";
import type { AuditQuery } from "../../src/storage/backend.ts";
import type { FileBackend } from "../../src/storage/file/file-backend.ts";
import { commitOf, now, openBackend, temporaryFolder } from "./support.ts";

/** An entry by outcome (`p`ending, `s`uccess) and correlation id (`-` for none). */
function entryOf(letters: string, n: number) {
  const [outcome, corr] = letters;
  const content = {
    id: `00000000-0000-7000-8000-${String(n).padStart(12, "0")}`,
    actor: { type: "agent", id: n % 2 === 0 ? "even" : "odd" },
    action: "test.done",
    outcome: outcome === "p" ? "pending" : "success",
    correlationId: corr === "-" ? undefined : corr,
    risk: n % 3 === 0 ? "high" : undefined,
  } as const;
  return prepareEntry(content, {});
}

async function seqs(backend: FileBackend, query: Partial<AuditQuery>): Promise<number[]> {
  const asked = { filter: {}, limit: 1000, order: "asc", ...query } as const;
  return (await backend.listAudit("acme", asked, now())).map(({ seq }) => seq);
}

describe("what the trail on files is narrowed by", () => {
  it("unresolved intents, in both orders, by page, and as more comes", async () => {
    const directory = await temporaryFolder();
    const backend = openBackend(directory);
    let n = 0;
    const add = async (...all: string[]) => {
      const appends = all.map((letters) => entryOf(letters, n++));
      await backend.commit("acme", commitOf({ appends }), now());
    };
    const filter = { unresolved: true };
    await add("pa", "pb", "p-", "sa", "s-", "pa", "pc", "pc", "sx");
    expect(await seqs(backend, { filter })).toEqual([1, 5, 6, 7]);
    expect(await seqs(backend, { filter, order: "desc" })).toEqual([7, 6, 5, 1]);
    expect(await seqs(backend, { filter, order: "desc", after: 7, limit: 2 })).toEqual([6, 5]);
    expect(await seqs(backend, { filter, after: 1, limit: 2 })).toEqual([5, 6]);
    expect(await seqs(backend, { filter: { ...filter, actorId: "odd" } })).toEqual([1, 5, 7]);
    expect(await seqs(backend, { filter: { ...filter, correlationId: "c" } })).toEqual([6, 7]);
    expect(await seqs(backend, { filter: { unresolved: false } })).toHaveLength(9);
    await add("sb", "pd", "sc");
    expect(await seqs(backend, { filter })).toEqual([5, 10]);
    await backend.close();
    expect(await seqs(openBackend(directory), { filter })).toEqual([5, 10]);
  });

  it("correlation id, risk and time, in both orders and by page", async () => {
    const backend = openBackend(await temporaryFolder());
    const start = Date.UTC(2026, 0, 1);
    for (let n = 0; n < 700; n++) {
      const appends = [entryOf(n % 5 === 0 ? "sa" : "sb", n)];
      // Three at each instant.
      await backend.commit("acme", commitOf({ appends }), now(start + Math.floor(n / 3) * 1000));
    }
    const all = Array.from({ length: 700 }, (_, seq) => seq);
    const every = (by: number) => all.filter((seq) => seq % by === 0);
    const at = (second: number) => new Date(start + second * 1000).toISOString();
    expect(await seqs(backend, { filter: { correlationId: "a" } })).toEqual(every(5));
    expect(await seqs(backend, { filter: { risk: "high" }, order: "desc" })).toEqual(
      every(3).reverse(),
    );
    expect(await seqs(backend, { filter: { risk: "high", correlationId: "a" } })).toEqual(
      every(15),
    );
    expect(await seqs(backend, { filter: { risk: "low" } })).toEqual([]);
    expect(await seqs(backend, { filter: { risk: "high" }, after: 300, limit: 2 })).toEqual([
      303, 306,
    ]);
    const between = { from: at(10), to: at(200) };
    expect(await seqs(backend, { filter: between })).toEqual(all.slice(30, 600));
    expect(await seqs(backend, { filter: between, order: "desc", after: 31 })).toEqual([30]);
    expect(await seqs(backend, { filter: between, after: 598 })).toEqual([599]);
    expect(await seqs(backend, { filter: { ...between, correlationId: "a" }, limit: 1 })).toEqual([
      30,
    ]);
    expect(await seqs(backend, { filter: { to: at(0) } })).toEqual([]);
    expect(await seqs(backend, { filter: { from: at(1000) }, order: "desc" })).toEqual([]);
  });
});
