import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Cluster,
  createTestDatabase,
  startCluster,
  type TestDatabase,
  THROWAWAY_SETTINGS,
} from "../../../../tooling/postgres.ts";
import { migrate } from "../../src/index.ts";
import type { AuditQuery } from "../../src/storage/backend.ts";
import { listEntries } from "../../src/storage/postgres/audit-search.ts";
import type { Call } from "../../src/storage/postgres/pipeline.ts";
import { Statements } from "../../src/storage/postgres/statements.ts";
import { withClient } from "./support.ts";

/** What we read of a node of `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)`. */
interface PlanNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Index Name"?: string;
  readonly "Actual Rows"?: number;
  readonly "Actual Loops"?: number;
  readonly "Rows Removed by Filter"?: number;
  readonly "Shared Hit Blocks": number;
  readonly "Shared Read Blocks": number;
  readonly Plans?: readonly PlanNode[];
}

type Filter = AuditQuery["filter"];

const limit = 10;
const stored = 6000;

/** Each column that a filter names, with a value that a tenth of the entries or fewer have. */
const equalities: Readonly<Record<string, Filter>> = {
  actor_id: { actorId: "actor-1" },
  agent_id: { agentId: "agent-1" },
  project: { project: "project-1" },
  action: { action: "deploy.started" },
  outcome: { outcome: "failure" },
  risk: { risk: "high" },
  correlation_id: { correlationId: "correlation-1" },
  actor_type: { actorType: "user" },
};

const prefix: Filter = { action: "deploy.*" };
const range: Filter = { from: "2026-01-01T00:10:00.000Z", to: "2026-01-01T01:00:00.000Z" };
const pairs = [
  [{ actorId: "actor-1", actorType: "user" }, "actor_id"],
  [{ agentId: "agent-1", action: "deploy.started" }, "agent_id"],
  [{ project: "project-1", outcome: "failure" }, "project"],
  [{ risk: "high", outcome: "success" }, "risk"],
] as const satisfies readonly (readonly [Filter, string])[];
const orders = ["asc", "desc"] as const;

function nodesOf(plan: PlanNode): PlanNode[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
}

/** How many rows of the trail a plan looked at, by the index that gave them. */
function rowsRead(plan: PlanNode): Record<string, number> {
  const read: Record<string, number> = {};
  for (const node of nodesOf(plan)) {
    const index = node["Index Name"];
    if (node["Relation Name"] !== "audit_log" || index === undefined) continue;
    const each = (node["Actual Rows"] ?? 0) + (node["Rows Removed by Filter"] ?? 0);
    read[index] = (read[index] ?? 0) + each * (node["Actual Loops"] ?? 0);
  }
  return read;
}

describe.each([14, 18] as const)(
  "on PostgreSQL %i, by plans that were made while the trail was empty,",
  (major) => {
    let cluster: Cluster;
    let database: TestDatabase;
    let client: pg.Client;
    let close: () => void;
    let closed: Promise<void>;

    beforeAll(async () => {
      cluster = await startCluster({
        major,
        settings: { ...THROWAWAY_SETTINGS, autovacuum: "off" },
      });
      database = await createTestDatabase({ adminUrl: cluster.adminUrl });
      await migrate({ databaseUrl: database.url });
      const ready = new Promise<void>((resolve) => {
        closed = withClient(database.url, async (connected) => {
          client = connected;
          resolve();
          await new Promise<void>((end) => {
            close = end;
          });
        });
      });
      await ready;
      // As every transaction of ours: see session.ts.
      for (const name of ["enable_seqscan", "enable_bitmapscan", "enable_sort"])
        await client.query(`SET ${name} = off`);
      await client.query("SET plan_cache_mode = force_generic_plan");
      await client.query("SET ROLE codespar_app");
      await client.query("SET codespar.org_id = 'org'");
      for (const call of everyCall()) await prepare(call);
      await client.query("RESET ROLE");
      await client.query(
        `INSERT INTO audit_log (org_id, seq, id, sealed_at, prev, hash, leaf, actor_type, actor_id, action, outcome, agent_id, project, risk, correlation_id)
       SELECT 'org', i, i::text, '2026-01-01T00:00:00Z'::timestamptz + i * interval '1 second', '', '', '',
         CASE WHEN i % 10 = 1 THEN 'user' ELSE 'agent' END, 'actor-' || i % 20,
         (ARRAY['deploy', 'read'])[1 + i / 7 % 2] || '.' || (ARRAY['started', 'ended', 'failed'])[1 + i / 3 % 3],
         CASE WHEN i % 11 = 0 THEN 'failure' ELSE 'success' END, 'agent-' || i % 40, 'project-' || i % 30,
         CASE WHEN i % 25 = 0 THEN 'high' END, 'correlation-' || i / 2
       FROM generate_series(0, $1::int - 1) AS i`,
        [stored],
      );
      await client.query(
        "INSERT INTO codespar.audit_open_intents (org_id, seq, correlation_id) SELECT 'org', i, 'correlation-' || i / 2 FROM generate_series(0, $1::int - 1, 10) AS i",
        [stored],
      );
      await client.query("SET ROLE codespar_app");
    });

    afterAll(async () => {
      close();
      await closed;
      await database.drop();
      await cluster[Symbol.asyncDispose]();
    });

    const statements = new Statements();

    function callFor(filter: Filter, order: "asc" | "desc", after?: number): Call {
      const query = { filter, order, limit, ...(after === undefined ? {} : { after }) };
      return listEntries(statements, "org", query);
    }

    function everyCall(): Call[] {
      const filters = [
        {},
        range,
        prefix,
        { unresolved: true },
        ...Object.values(equalities),
        ...pairs.map(([filter]) => filter),
        ...Object.values(equalities)
          .filter(({ action }) => action === undefined)
          .map((filter) => ({ ...filter, ...prefix })),
      ];
      return orders.flatMap((order) => filters.map((filter) => callFor(filter, order)));
    }

    async function prepare({ statement, values }: Call): Promise<void> {
      await client.query({ name: statement.name, text: statement.text, values: [...values] });
    }

    /** Runs a prepared statement and says how. */
    async function explain({ statement, values }: Call): Promise<PlanNode> {
      const literals = values.map((value) => (value === null ? "NULL" : `'${String(value)}'`));
      const { rows } = await client.query<{ "QUERY PLAN": [{ Plan: PlanNode }] }>(
        `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE ${statement.name}(${literals.join(", ")})`,
      );
      const plan = rows[0]?.["QUERY PLAN"][0].Plan;
      if (plan === undefined) throw new Error("no plan");
      return plan;
    }

    /** Nothing reads a table from end to end, and what is sorted is a page at most, or the handful of ways to choose from. */
    function expectNoScan(plan: PlanNode, mostSorted = 0): void {
      const nodes = nodesOf(plan);
      const scans = nodes
        .map((node) => node["Node Type"])
        .filter((type) => /Seq|Bitmap|Hash|Merge/.test(type));
      expect(scans).toEqual([]);
      const sorted = nodes
        .filter((node) => node["Node Type"] === "Sort")
        .flatMap(({ Plans = [] }) => Plans);
      for (const input of sorted)
        expect((input["Actual Rows"] ?? 0) * (input["Actual Loops"] ?? 0)).toBeLessThanOrEqual(
          mostSorted,
        );
    }

    describe.each(orders)("%s,", (order) => {
      const places = [undefined, stored / 2];

      test.each(Object.entries(equalities))(
        "a page by %s reads its own index, as many rows as it shows",
        async (column, filter) => {
          for (const after of places) {
            const plan = await explain(callFor(filter, order, after));
            expectNoScan(plan);
            const read = rowsRead(plan);
            expect(Object.keys(read).sort()).toEqual(
              [`audit_log_${column}_idx`, "audit_log_pkey"].sort(),
            );
            const found = column === "correlation_id" ? 2 : limit;
            expect(read[`audit_log_${column}_idx`]).toBeLessThanOrEqual(found);
            if (after === undefined) expect(read[`audit_log_${column}_idx`]).toBe(found);
          }
        },
      );

      test("a page of everything, or of a time range, reads as many rows as it shows", async () => {
        for (const filter of [{}, range]) {
          for (const after of places) {
            const plan = await explain(callFor(filter, order, after));
            expectNoScan(plan);
            expect(Object.keys(rowsRead(plan))).toEqual(["audit_log_pkey"]);
            expect(rowsRead(plan)["audit_log_pkey"]).toBeLessThanOrEqual(2 * limit);
          }
        }
      });

      test("a page deep in a long list is read from where it begins", async () => {
        const after = order === "asc" ? stored - 500 : 500;
        for (const filter of [{ outcome: "success" }, { actorType: "agent" }] as const) {
          const nodes = nodesOf(await explain(callFor(filter, order, after)));
          const [list] = nodes.filter((node) => /_idx$/.test(node["Index Name"] ?? ""));
          // Down the tree, and the page's rows; the list as a whole takes about thirty blocks.
          const blocks = (list?.["Shared Hit Blocks"] ?? 0) + (list?.["Shared Read Blocks"] ?? 0);
          expect(blocks).toBeGreaterThan(0);
          expect(blocks).toBeLessThan(18);
        }
      });

      test("a time range bounds what another filter reads", async () => {
        // Nothing of agent 1 was sealed in this second: the next ones stand 40 entries away.
        const filter = {
          agentId: "agent-1",
          from: "2026-01-01T00:30:03.000Z",
          to: "2026-01-01T00:30:04.000Z",
        };
        const plan = await explain(callFor(filter, order));
        expectNoScan(plan);
        expect(rowsRead(plan)).toEqual({ audit_log_agent_id_idx: 0, audit_log_pkey: 0 });
      });

      test.each(pairs)("%j are found along the rarer of them", async (filter, column) => {
        for (const after of places) {
          const plan = await explain(callFor(filter, order, after));
          expectNoScan(plan, 2);
          const read = Object.entries(rowsRead(plan));
          // To choose, 33 of each are read; of the others no more than that.
          for (const [index, rows] of read) {
            if (index !== `audit_log_${column}_idx` && index !== "audit_log_pkey")
              expect([index, rows]).toEqual([index, 33]);
          }
          expect(rowsRead(plan)[`audit_log_${column}_idx`]).toBeLessThan(33 + 13 * limit);
        }
      });

      test("a prefix of actions reads a page of each action that has it", async () => {
        for (const after of places) {
          const plan = await explain(callFor(prefix, order, after));
          expectNoScan(plan, 3 * limit);
          // Three actions, found with one probe each; 33 of each to choose, a page of each to show.
          expect(rowsRead(plan)["audit_log_action_idx"]).toBeLessThanOrEqual(
            4 + 3 * 33 + 3 * limit,
          );
        }
      });

      test("a prefix and another filter are found along the rarer of them", async () => {
        for (const [column, filter] of Object.entries(equalities)) {
          if (filter.action !== undefined) continue;
          const plan = await explain(callFor({ ...filter, ...prefix }, order));
          expectNoScan(plan, 3 * limit);
          const total = Object.values(rowsRead(plan)).reduce((sum, rows) => sum + rows, 0);
          expect([column, total < stored / 10]).toEqual([column, true]);
        }
      });

      test("unresolved intents are read from their own table", async () => {
        for (const after of places) {
          const plan = await explain(callFor({ unresolved: true }, order, after));
          expectNoScan(plan);
          expect(rowsRead(plan)["audit_log_pkey"]).toBeLessThanOrEqual(2 * limit);
        }
      });
    });
  },
);
