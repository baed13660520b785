import { afterEach, describe, expect, test } from "vitest";
import { sampled } from "../support/sampled.ts";
import { PostgresAttacker } from "./postgres-attacker.ts";
import { placeOn } from "./scene.ts";
import { places, verify } from "./victim.ts";

/* Every column of every table of the trail, as the catalogue has it, is changed in every way that its type allows. */

/** What is expected of a changed column. */
type Rule =
  /** Found, at the entry that the row is of. */
  | "located"
  /** Found, at the size of the tree that a checkpoint or key is of, or where it shows. */
  | "found"
  /** Nothing that the trail says: why. */
  | { readonly unread: string };

const record = {
  version: { unread: "tells one write of the record from another" },
  created_at: { unread: "shown as the time of signing, for which nobody vouches" },
  updated_at: { unread: "never shown" },
  overwritten: { unread: "tells the database what was overwritten" },
} as const;
const anchor = { unread: "tells what has to be handed over; a smaller one repeats that" };

const rules: Readonly<Record<string, Readonly<Record<string, Rule>>>> = {
  "public.audit_log": {
    org_id: "located",
    seq: "found",
    id: "located",
    sealed_at: "located",
    prev: "located",
    hash: "located",
    leaf: "located",
    actor_type: "located",
    actor_id: "located",
    action: "located",
    outcome: "located",
    target_type: "located",
    target_id: "located",
    agent_id: "located",
    project: "located",
    risk: "located",
    correlation_id: "located",
    occurred_at: "located",
  },
  "codespar.audit_parts": {
    org_id: "located",
    seq: "found",
    name: "located",
    salt: "located",
    body: "located",
  },
  "codespar.audit_open_intents": { org_id: "located", seq: "found", correlation_id: "located" },
  "codespar.audit_heads": { org_id: "found", log: "found" },
  "codespar.audit_tiles": {
    org_id: "found",
    level: "found",
    index: "found",
    hashes: "found",
    root: "found",
  },
  "codespar.audit_checkpoints": {
    ...record,
    org_id: "found",
    size: "found",
    note: "found",
    expires_at: "found",
  },
  "codespar.audit_keys": {
    ...record,
    org_id: "found",
    generation: { unread: "the order in which keys sign" },
    vkey: "found",
    seed: { unread: "sealed: opening it tells" },
    retired_at: { unread: "shown with the key" },
    expires_at: "found",
  },
  "codespar.audit_anchors": {
    ...record,
    org_id: anchor,
    anchor,
    size: "found",
    anchored_at: anchor,
    expires_at: anchor,
  },
};

/** Expressions that give another value than a column has; `$i` stands for a place in it. */
function edits(type: string, length: number): string[] {
  const { first, stride } = sampled(Math.max(1, Math.floor(length / 8)));
  const sample = Array.from({ length }, (_, i) => i).filter((i) => i % stride === first);
  const at = [...new Set([0, Math.floor(length / 2), length - 1, ...sample])].filter((i) => i >= 0);
  switch (type) {
    case "bytea":
      return [
        ...at.map((i) => `set_byte($c, ${i}, get_byte($c, ${i}) # ${1 << (i % 8)})`),
        "''::bytea",
        "$c || '\\x00'::bytea",
      ];
    case "text":
      return [
        ...at.map(
          (i) =>
            `overlay($c PLACING CASE substr($c, ${i + 1}, 1) WHEN '1' THEN '2' ELSE '1' END FROM ${i + 1} FOR 1)`,
        ),
        "$c || ' '",
        "''",
      ];
    case "bigint":
    case "integer":
      return ["$c + 1", "$c + 1000", "-1 - $c"];
    case "boolean":
      return ["NOT $c"];
    case "timestamp with time zone":
      return [
        "$c + interval '1 millisecond'",
        "$c - interval '1 day'",
        "'infinity'::timestamptz",
        "coalesce($c, '2001-01-01')",
      ];
    default:
      throw new Error(`no attack on a column of type ${type}`);
  }
}

/** Edits of columns that don't matter as such. */
const own: Readonly<Record<string, readonly string[]>> = {
  "codespar.audit_checkpoints.expires_at": ["'2001-01-01'"],
  "codespar.audit_keys.expires_at": ["'2001-01-01'"],
  "codespar.audit_anchors.expires_at": ["'2001-01-01'"],
  "codespar.audit_anchors.size": ["repeat('9', 16)", "'infinity'"],
};

type Attacked = {
  ctid: string;
  /** The entry that it is of. */
  readonly seq: string | null;
  readonly length: number;
};

describe("a changed column of PostgreSQL", () => {
  const place = placeOn("PostgreSQL", (options) => PostgresAttacker.login(options));
  afterEach(() => place.restore());

  /** Rows to attack: of entries one in a tile, one behind it and the last. */
  const rowsOf: Readonly<Record<string, string>> = {
    "public.audit_log": `seq IN (${places.openIntent}, 285, 299)`,
    "codespar.audit_parts": "seq IN (60, 285)",
    // That an earlier one is gone nothing tells, and nothing needs it.
    "codespar.audit_checkpoints": "size LIKE '%270'",
    "codespar.audit_open_intents": `seq = ${places.openIntent}`,
  };

  test("is one that a rule is given for, and every column has one", () => {
    const columns = place.attacker.tables.map(({ name, columns: all }) => [
      name,
      all.map((column) => column.name).sort(),
    ]);
    expect(Object.fromEntries(columns)).toEqual(
      Object.fromEntries(
        Object.entries(rules).map(([name, all]) => [name, Object.keys(all).sort()]),
      ),
    );
  });

  for (const [table, columns] of Object.entries(rules))
    for (const [column, rule] of Object.entries(columns))
      test(`${table}.${column}`, async () => {
        const type = typeOf(table, column);
        const length = type === "bytea" ? `length(t."${column}")` : `length(t."${column}"::text)`;
        const rows = await place.attacker.query<Attacked>(
          `SELECT t.ctid::text, to_jsonb(t) ->> 'seq' AS seq, coalesce(${length}, 0) AS length
           FROM ${table} AS t WHERE org_id = 'acme' AND ${rowsOf[table] ?? "true"} ORDER BY ctid`,
        );
        expect(rows.length).toBeGreaterThan(0);
        let attempts = 0;
        for (const row of rows)
          for (const edit of [...(own[`${table}.${column}`] ?? edits(type, row.length)), "NULL"])
            attempts += await attempt(table, column, edit, row, rule);
        expect(attempts).toBeGreaterThan(0);
      }, 300_000);

  function typeOf(table: string, column: string): string {
    const columns = place.attacker.tables.find(({ name }) => name === table)?.columns ?? [];
    return columns.find(({ name }) => name === column)?.type ?? "";
  }

  async function attempt(
    table: string,
    column: string,
    edit: string,
    row: Attacked,
    rule: Rule,
  ): Promise<0 | 1> {
    const c = `"${column}"`;
    const [changed] = await place.attacker
      .query<{ ctid: string; old: string }>(
        `WITH old AS (SELECT ctid, ${c} FROM ${table} WHERE ctid = '${row.ctid}')
         UPDATE ${table} AS t SET ${c} = ${edit.replaceAll("$c", `old.${c}`)} FROM old
         WHERE t.ctid = old.ctid AND t.${c} IS DISTINCT FROM ${edit.replaceAll("$c", `old.${c}`)} RETURNING t.ctid::text, old.${c}::text AS old`,
      )
      .catch((error: { code?: string }) => {
        // A constraint or the type refuses it: also to a superuser, unless he changes the table.
        if (/^2[23]/.test(error.code ?? "")) return [];
        throw error;
      });
    if (changed === undefined) return 0;
    const what = `${table}.${column} of ${row.seq ?? row.ctid}: ${edit}`;
    const { verdict, firstFailure } = await verify(place.attacker.options, "acme");
    if (typeof rule === "object") {
      // No instant that anybody wrote: where it is read, the record can't be.
      const unreadable = edit.startsWith("'infinity'") && verdict === "tampered";
      if (!unreadable) expect([verdict, firstFailure], what).toEqual(["unanchored", null]);
    } else {
      expect(verdict, what).toBe("tampered");
      expect(firstFailure?.expected, what).not.toBe(firstFailure?.actual);
      expect(firstFailure?.message, what).toBeTruthy();
      if (rule === "located" && row.seq !== null)
        expect(firstFailure?.seq, `${what}: ${firstFailure?.message}`).toBe(Number(row.seq));
    }
    const [back] = await place.attacker.query<{ ctid: string }>(
      `UPDATE ${table} SET ${c} = $1 WHERE ctid = '${changed.ctid}' RETURNING ctid::text`,
      [changed.old],
    );
    row.ctid = back?.ctid ?? "";
    return 1;
  }

  test("leaves nothing behind", async () => {
    expect(await verify(place.attacker.options, "acme")).toMatchObject({
      verdict: "unanchored",
      firstFailure: null,
    });
  });
});
