import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TestDatabase } from "../../../../tooling/postgres.ts";
import { CompactRange } from "../../src/audit/merkle.ts";
import type { TreeTile } from "../../src/storage/backend.ts";
import type { PostgresBackend } from "../../src/storage/postgres/postgres-backend.ts";
import { appendMany, backendOn, entry, migratedDatabase, query, withClient } from "./support.ts";

const now = 0;
const wide = 256;

let database: TestDatabase;
let backend: PostgresBackend;

beforeAll(async () => {
  database = await migratedDatabase();
  backend = backendOn(database.url);
});

afterAll(async () => {
  await backend.close();
  await database.drop();
});

/** Which tiles are stored, as `level/index`. */
function storedTiles(orgId: string): Promise<unknown[]> {
  return query(
    database.url,
    "SELECT level || '/' || index FROM codespar.audit_tiles WHERE org_id = $1 ORDER BY level, index",
    [orgId],
  );
}

async function leafHashes(orgId: string): Promise<Buffer[]> {
  const hashes = await query(
    database.url,
    "SELECT hash FROM audit_log WHERE org_id = $1 ORDER BY seq",
    [orgId],
  );
  return hashes as Buffer[];
}

/** The root over a tile's hashes, by the tree that proofs are made with. */
function rootOf(hashes: readonly Uint8Array[]): Uint8Array {
  const range = new CompactRange();
  for (const hash of hashes) range.add(hash);
  return range.root();
}

async function read(orgId: string, ...tiles: readonly TreeTile[]): Promise<string[]> {
  const found = await backend.treeTiles(orgId, tiles, { now });
  return found.map((hashes) => Buffer.from(hashes).toString("hex"));
}

const hex = (hashes: readonly Uint8Array[]) => Buffer.concat(hashes).toString("hex");

describe("a trail", () => {
  test("gets a tile with every 256th entry, however many come at once", async () => {
    const appendAndSee = async (count: number) => {
      const appends = Array.from({ length: count }, () => entry());
      await backend.commit("steps", { checks: [], writes: [], appends }, { now });
      return storedTiles("steps");
    };
    expect(await appendAndSee(255)).toEqual([]);
    expect(await appendAndSee(1)).toEqual(["0/0"]);
    expect(await appendAndSee(1)).toEqual(["0/0"]);
    expect(await appendAndSee(767)).toEqual(["0/0", "0/1", "0/2", "0/3"]);
  });

  test("has in its tiles what it is made of", async () => {
    await appendMany(backend, "small", 600);
    const leaves = await leafHashes("small");
    const roots = [0, 1].map((i) => rootOf(leaves.slice(i * wide, (i + 1) * wide)));
    expect(
      await read(
        "small",
        { level: 0, index: 2, width: 88 },
        { level: 1, index: 0, width: 2 },
        { level: 0, index: 1, width: 256 },
        { level: 0, index: 1, width: 3 },
        { level: 0, index: 2, width: 1 },
      ),
    ).toEqual([
      hex(leaves.slice(512, 600)),
      hex(roots),
      hex(leaves.slice(256, 512)),
      hex(leaves.slice(256, 259)),
      hex(leaves.slice(512, 513)),
    ]);
    expect(await read("small")).toEqual([]);
    // Also from what lies below it, which is stored a second time.
    const tile = { level: 0, index: 1, width: 256 };
    expect(await read("small", { ...tile, fromBelow: true }, tile)).toEqual(
      Array(2).fill(hex(leaves.slice(256, 512))),
    );
  });

  test("taken over from another store gets the same tiles", async () => {
    await appendMany(backend, "source", 700);
    const rows = await backend.listAudit(
      "source",
      { filter: {}, limit: 1000, order: "asc" },
      { now },
    );
    for (const [from, to] of [
      [0, 200],
      [200, 300],
      [300, 700],
    ])
      await backend.importAudit("copy", rows.slice(from, to), { now });
    expect(await storedTiles("copy")).toEqual(["0/0", "0/1"]);
    const tiles = [
      { level: 1, index: 0, width: 2 },
      { level: 0, index: 1, width: 256 },
    ];
    expect(await read("copy", ...tiles)).toEqual(await read("source", ...tiles));
  });

  test("of more than 65,536 entries has a tile of the tiles' roots", async () => {
    const size = 65_536 + 300;
    // Sealed one by one they would take a while: only their hashes matter here.
    await withClient(database.url, async (client) => {
      await client.query(
        `INSERT INTO audit_log (org_id, seq, id, sealed_at, prev, hash, leaf, actor_type, actor_id, action, outcome)
         SELECT 'large', i, i::text, now(), '', sha256(i::text::bytea), '', 'system', 'test', 'test', 'success' FROM generate_series(0, $1::int - 1) AS i`,
        [size],
      );
      await client.query("SELECT codespar.audit_grow('large', 0, 0, $1)", [size]);
    });
    const leaves = Array.from({ length: size }, (_, i) =>
      createHash("sha256").update(String(i)).digest(),
    );
    const roots = Array.from({ length: 257 }, (_, i) =>
      i < 257 ? rootOf(leaves.slice(i * wide, (i + 1) * wide)) : leaves[0],
    ) as Uint8Array[];
    expect(
      await read(
        "large",
        { level: 1, index: 0, width: 256 },
        { level: 1, index: 1, width: 1 },
        { level: 2, index: 0, width: 1 },
        { level: 0, index: 257, width: 44 },
      ),
    ).toEqual([
      hex(roots.slice(0, 256)),
      hex(roots.slice(256, 257)),
      hex([rootOf(roots.slice(0, 256))]),
      hex(leaves.slice(257 * wide)),
    ]);
  });
});

describe("damage", () => {
  /** What only a superuser who switches the triggers off can do. */
  const damage = (statement: string) =>
    withClient(database.url, async (client) => {
      const tables = ["audit_log", "codespar.audit_tiles"];
      for (const table of tables) await client.query(`ALTER TABLE ${table} DISABLE TRIGGER USER`);
      await client.query(statement);
      for (const table of tables)
        await client.query(`ALTER TABLE ${table} ENABLE ALWAYS TRIGGER append_only_rows`);
    });

  test("to a tile, or what an unfinished one is made of, leaves it shorter", async () => {
    await appendMany(backend, "damaged", 300);
    await damage("DELETE FROM audit_log WHERE org_id = 'damaged' AND seq = 270");
    const [partial] = await read("damaged", { level: 0, index: 1, width: 44 });
    expect(partial).toHaveLength(43 * 64);
    await damage("DELETE FROM codespar.audit_tiles WHERE org_id = 'damaged'");
    expect(await read("damaged", { level: 0, index: 0, width: 256 })).toEqual([""]);
    const above = await read("damaged", { level: 1, index: 0, width: 1 });
    expect(above).toEqual([""]);
  });

  test("of the trail stays what it is, and entries go on being sealed", async () => {
    await appendMany(backend, "gap", 100);
    await damage("DELETE FROM audit_log WHERE org_id = 'gap' AND seq = 50");
    await appendMany(backend, "gap", 500);
    expect(await storedTiles("gap")).toEqual(["0/1"]);

    await appendMany(backend, "cut", 300);
    const [tile] = await read("cut", { level: 0, index: 0, width: 256 });
    await damage("DELETE FROM audit_log WHERE org_id = 'cut' AND seq >= 200");
    await appendMany(backend, "cut", 100);
    expect(await read("cut", { level: 0, index: 0, width: 256 })).toEqual([tile]);
  });
});
