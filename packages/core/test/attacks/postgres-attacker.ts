import { randomUUID } from "node:crypto";
import pg from "pg";
import type { StorageOptions } from "../../src/index.ts";
import type { Attacker } from "./attacker.ts";

/** A table of the trail, as the catalogue has it. */
export interface AuditTable {
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
}

type Row = Record<string, unknown>;

/** A superuser who switched off the triggers that refuse changes. */
export class PostgresAttacker implements Attacker {
  readonly kind = "postgres";
  readonly options: StorageOptions;
  readonly tables: readonly AuditTable[];
  readonly #client: pg.Client;

  private constructor(options: StorageOptions, client: pg.Client, tables: readonly AuditTable[]) {
    this.options = options;
    this.#client = client;
    this.tables = tables;
  }

  static async login(options: StorageOptions): Promise<PostgresAttacker> {
    const client = new pg.Client({ connectionString: options.databaseUrl });
    await client.connect();
    const { rows } = await client.query<AuditTable>(`
      SELECT format('%I.%I', table_schema, table_name) AS name,
        json_agg(json_build_object('name', column_name, 'type', data_type) ORDER BY ordinal_position) AS columns
      FROM information_schema.columns WHERE table_schema IN ('public', 'codespar') AND table_name LIKE 'audit%'
      GROUP BY table_schema, table_name ORDER BY table_name`);
    for (const { name } of rows) await client.query(`ALTER TABLE ${name} DISABLE TRIGGER ALL`);
    return new PostgresAttacker(options, client, rows);
  }

  async query<Result extends Row = Row>(text: string, values: unknown[] = []): Promise<Result[]> {
    return (await this.#client.query<Result>(text, values)).rows;
  }

  async rearrange(orgId: string, change: Parameters<Attacker["rearrange"]>[1]): Promise<void> {
    const rows = await this.query(
      "DELETE FROM audit_log WHERE org_id = $1 RETURNING *, sealed_at::text AS sealed_at, occurred_at::text AS occurred_at",
      [orgId],
    );
    rows.sort((a, b) => Number(a["seq"]) - Number(b["seq"]));
    const stored = rows.map((rest) => ({ leaf: rest["leaf"] as Buffer, rest }));
    const ids = new Set<unknown>();
    const values = change(stored).map(({ leaf, rest }, seq) => {
      const row = rest as Row;
      // The index holds each id once.
      const id = ids.has(row["id"]) ? randomUUID() : row["id"];
      ids.add(id);
      return { ...row, org_id: orgId, seq, id, leaf };
    });
    await this.#insert("audit_log", values);
  }

  async setPart(orgId: string, seq: number, part: Parameters<Attacker["setPart"]>[2]) {
    await this.query("DELETE FROM codespar.audit_parts WHERE org_id = $1 AND seq = $2", [
      orgId,
      seq,
    ]);
    if (part !== null)
      await this.#insert("codespar.audit_parts", [
        { org_id: orgId, seq, name: part.name, salt: part.salt, body: part.body },
      ]);
  }

  async removeCheckpoint(orgId: string, size: number): Promise<void> {
    await this.query(
      "DELETE FROM codespar.audit_checkpoints WHERE org_id = $1 AND size::bigint = $2",
      [orgId, size],
    );
  }

  async wipe(orgId: string): Promise<void> {
    for (const { name } of this.tables)
      await this.query(`DELETE FROM ${name} WHERE org_id = $1`, [orgId]);
  }

  async save(orgId: string): Promise<() => Promise<void>> {
    await this.query("CREATE SCHEMA saved");
    for (const { name } of this.tables)
      await this.query(
        `CREATE TABLE ${saved(name)} AS SELECT * FROM ${name} WHERE org_id = '${orgId}'`,
      );
    return async () => {
      await this.wipe(orgId);
      for (const { name } of this.tables)
        await this.query(`INSERT INTO ${name} SELECT * FROM ${saved(name)}`);
    };
  }

  async logout(): Promise<void> {
    await this.#client.end();
  }

  async #insert(table: string, rows: readonly Row[]): Promise<void> {
    for (const row of rows) {
      const columns = Object.keys(row);
      const places = columns.map((_, i) => `$${i + 1}`);
      await this.query(
        `INSERT INTO ${table} (${columns.join()}) VALUES (${places.join()})`,
        Object.values(row),
      );
    }
  }
}

function saved(table: string): string {
  return `saved.${table.split(".")[1]}`;
}
