import { type AuditListOptions, createStorage, type Storage } from "@codespar/core";
import pg from "pg";
import { Cleanup } from "../harness/cleanup.ts";
import { Comparison } from "../harness/comparison.ts";
import { atMost, type Row } from "../harness/report.ts";
import type { Leg } from "../harness/rounds.ts";
import type { Scenario } from "./scenario.ts";

const page = 100;
const few = 10_000;

/** What is asked, of which both trails have a page and more; alone and together. */
const searches: Readonly<Record<string, AuditListOptions>> = {
  "the newest": {},
  "the oldest": { order: "asc" },
  "an actor": { actorId: "actor-3" },
  people: { actorType: "user" },
  "an agent": { agentId: "agent-3" },
  "a project": { project: "project-3" },
  "an action": { action: "deploy.started" },
  "deploy.*": { action: "deploy.*" },
  "an outcome": { outcome: "failure" },
  "a risk": { risk: "high" },
  "a time range": { from: "2026-01-01T00:10:00Z", to: "2026-01-01T01:00:00Z" },
  "an agent's failures": { agentId: "agent-3", outcome: "failure" },
  "an agent's deploy.*": { agentId: "agent-3", action: "deploy.*" },
  "failed deploy.*": { action: "deploy.*", outcome: "failure" },
};

/** A page of the trail by what can be asked of it, among few entries and among many. */
export const search: Scenario = {
  name: "search",
  about:
    "a page of the audit trail on PostgreSQL, by each filter, among 10,000 entries and a million",
  async run({ options, postgres, progress }) {
    await using cleanup = new Cleanup();
    const many = options.quick ? 50_000 : 1_000_000;
    const { url } = await (await postgres()).createMigrated();
    progress(`${few} and ${many} entries`);
    await fill(url, { few, many });
    const storage = cleanup.use(createStorage("few", { databaseUrl: url }));
    const rows: Row[] = [];
    for (const [name, asked] of Object.entries(searches)) {
      progress(name);
      const legs = { few: pages(storage, asked), many: pages(storage.forOrg("many"), asked) };
      const comparison = await Comparison.of(legs, options.rounds);
      rows.push({
        scenario: "PostgreSQL",
        measure: `a page of ${page} entries: ${name}`,
        callers: "1",
        ours: comparison.figure("many", "ms"),
        others: { [`of ${few}`]: comparison.figure("few", "ms") },
        checks: [atMost(2, comparison.ratio("many", "few"), `× as long among ${many}`)],
      });
    }
    return rows;
  },
};

/** Milliseconds of one page, over some of them in a row. */
function pages({ audit }: Storage, asked: AuditListOptions): Leg {
  const turns = 20;
  return async () => {
    const start = performance.now();
    for (let turn = 0; turn < turns; turn += 1) {
      const { items } = await audit.list({ ...asked, limit: page });
      if (items.length < page) throw new Error(`${items.length} entries are no page`);
    }
    return (performance.now() - start) / turns;
  };
}

/**
 * Fills trails with entries that nobody sealed: searching doesn't look at their bytes. A fiftieth to a fifth of them have what is searched for,
 * scattered without a pattern.
 */
async function fill(url: string, trails: Readonly<Record<string, number>>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(
      "CREATE FUNCTION pg_temp.one_of(n bigint, i bigint, seed bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT (hashint8extended($2, $3) & 65535) % $1'",
    );
    for (const [orgId, entries] of Object.entries(trails))
      await client.query(insertion, [orgId, entries]);
    await client.query("ANALYZE audit_log");
  } finally {
    await client.end();
  }
}

const leaf = `{"action":"deploy.started","actor":{"id":"actor","type":"agent"},"id":"%1$s","log":"log","outcome":"success","parts":{},"prev":"","seq":%1$s,"ts":"2026-01-01T00:00:00.000000Z","v":1}`;

const insertion = `
  INSERT INTO audit_log (org_id, seq, id, sealed_at, prev, hash, leaf, actor_type, actor_id, action, outcome, agent_id, project, risk)
  SELECT $1, i, i::text, '2026-01-01T00:00:00Z'::timestamptz + i * interval '1 second', '', sha256(i::text::bytea),
    convert_to(format('${leaf}', i), 'UTF8'),
    CASE pg_temp.one_of(50, i, 1) WHEN 0 THEN 'user' ELSE 'agent' END, 'actor-' || pg_temp.one_of(40, i, 2),
    (ARRAY['deploy', 'read', 'write', 'chat', 'plan'])[1 + pg_temp.one_of(5, i, 3)] || '.' || (ARRAY['started', 'ended', 'failed'])[1 + pg_temp.one_of(3, i, 4)],
    CASE pg_temp.one_of(10, i, 5) WHEN 0 THEN 'failure' ELSE 'success' END, 'agent-' || pg_temp.one_of(5, i, 6),
    'project-' || pg_temp.one_of(30, i, 7), CASE pg_temp.one_of(40, i, 8) WHEN 0 THEN 'high' END
  FROM generate_series(0, $2::int - 1) AS i`;
