import { randomUUID } from "node:crypto";
import pg from "pg";
import type { MemoryStore } from "../harness/memory-store.ts";
import type { auditInput } from "../harness/records.ts";
import { statement } from "./statement.ts";

/*
 * What a careful programmer would write by hand for one table and one application: the same columns and key as ours, without
 * organisations kept apart by the database.
 */
const schema = `
  CREATE SCHEMA bare;
  CREATE TABLE bare.memory (
    org_id text COLLATE "C" NOT NULL, agent_id text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL,
    value json NOT NULL, version text NOT NULL,
    created_at timestamptz(3) NOT NULL DEFAULT now(), updated_at timestamptz(3) NOT NULL DEFAULT now(),
    expires_at timestamptz(3),
    PRIMARY KEY (org_id, agent_id, key)
  );
  CREATE TABLE bare.audit (
    org_id text COLLATE "C" NOT NULL, seq bigint GENERATED ALWAYS AS IDENTITY, id uuid NOT NULL,
    leaf bytea NOT NULL, ts timestamptz NOT NULL DEFAULT now(), actor_type text NOT NULL, actor_id text NOT NULL,
    action text NOT NULL, outcome text NOT NULL, agent_id text, risk text,
    PRIMARY KEY (org_id, seq), UNIQUE (org_id, id)
  )`;

/** Stores a memory value. */
export const setStatement = statement(`
  INSERT INTO bare.memory (org_id, agent_id, key, value, version) VALUES (:org, :agent, :key, :value, :version)
  ON CONFLICT (org_id, agent_id, key) DO UPDATE SET
    value = excluded.value, version = excluded.version, updated_at = now(), expires_at = excluded.expires_at
  RETURNING created_at, updated_at`);

/** Reads a memory value. */
export const getStatement = statement(`
  SELECT value, version, created_at, updated_at, expires_at FROM bare.memory
  WHERE org_id = :org AND agent_id = :agent AND key = :key AND (expires_at IS NULL OR expires_at > now())`);

const appendStatement = statement(`
  INSERT INTO bare.audit (org_id, id, leaf, actor_type, actor_id, action, outcome, agent_id, risk)
  VALUES (:org, :id, :leaf, :type, :actor, :action, :outcome, :agent, :risk)
  RETURNING seq, ts`);

/** Creates the tables that the bare driver works on. */
export async function createBareTables(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(schema);
  } finally {
    await client.end();
  }
}

/** The driver without anything of ours: one named prepared statement per call. */
export class BareDriver implements MemoryStore {
  readonly #pool: pg.Pool;

  constructor(url: string, poolSize: number) {
    this.#pool = new pg.Pool({ connectionString: url, max: poolSize });
  }

  async set(orgId: string, agentId: string, key: string, value: unknown): Promise<void> {
    const values = [orgId, agentId, key, JSON.stringify(value), randomUUID()];
    await this.#pool.query({ name: "set", text: setStatement.text, values });
  }

  async get(orgId: string, agentId: string, key: string): Promise<unknown> {
    const values = [orgId, agentId, key];
    const { rows } = await this.#pool.query<{ value: unknown }>({
      name: "get",
      text: getStatement.text,
      values,
    });
    return rows[0]?.value ?? null;
  }

  /** An audit trail as most have it: a row per event, no chain, nothing to verify. */
  async append(orgId: string, entry: ReturnType<typeof auditInput>): Promise<void> {
    const { action, outcome, agent, risk } = entry;
    const id = randomUUID();
    const leaf = Buffer.from(JSON.stringify({ id, ts: new Date(), ...entry }));
    const values = [orgId, id, leaf, "system", "bench", action, outcome, agent.id, risk];
    await this.#pool.query({ name: "append", text: appendStatement.text, values });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end();
  }
}
