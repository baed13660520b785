import type { Client } from "pg";

/* What a migrated database is like, as text that is the same on every PostgreSQL from 14 to 18: pg_dump's isn't. */
const queries: Readonly<Record<string, string>> = {
  columns: `
    SELECT format('%s %s %s%s%s%s', a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod),
      CASE WHEN a.attcollation = 0 THEN '' ELSE format(' COLLATE %I', c.collname) END,
      CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END, coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), ''))
    FROM pg_attribute AS a JOIN ours ON ours.oid = a.attrelid LEFT JOIN pg_collation AS c ON c.oid = a.attcollation
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid::regclass::text COLLATE "C", a.attnum`,
  constraints: `
    SELECT format('%s %s: %s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid)) FROM pg_constraint AS k
    JOIN ours ON ours.oid = k.conrelid WHERE k.contype <> 'n'`,
  indexes: `SELECT pg_get_indexdef(i.indexrelid) FROM pg_index AS i JOIN ours ON ours.oid = i.indrelid`,
  "row-level security": `
    SELECT format('%s%s%s', c.oid::regclass, CASE WHEN c.relrowsecurity THEN ' ENABLED' END, CASE WHEN c.relforcerowsecurity THEN ' FORCED' END)
    FROM pg_class AS c JOIN ours ON ours.oid = c.oid`,
  policies: `
    SELECT format('%s %s %s TO %s USING %s WITH CHECK %s', p.polrelid::regclass, p.polname, CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
      CASE WHEN p.polroles = '{0}' THEN 'public' ELSE (SELECT string_agg(pg_get_userbyid(r), ',') FROM unnest(p.polroles) AS r) END,
      pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
    FROM pg_policy AS p JOIN ours ON ours.oid = p.polrelid`,
  triggers: `
    SELECT format('%s %s', pg_get_triggerdef(t.oid), t.tgenabled) FROM pg_trigger AS t JOIN ours ON ours.oid = t.tgrelid
    WHERE NOT t.tgisinternal`,
  owners: `
    SELECT format('%s %s', c.oid::regclass, pg_get_userbyid(c.relowner)) FROM pg_class AS c JOIN ours ON ours.oid = c.oid
    UNION ALL SELECT format('%s %s', p.oid::regprocedure, pg_get_userbyid(p.proowner)) FROM pg_proc AS p WHERE p.pronamespace = 'codespar'::regnamespace`,
  grants: `
    SELECT line FROM (
      SELECT format('%s %s %s', c.oid::regclass, CASE WHEN g.grantee = 0 THEN 'public' ELSE pg_get_userbyid(g.grantee) END,
        string_agg(g.privilege_type, ',' ORDER BY g.privilege_type)) AS line
      FROM pg_class AS c JOIN ours ON ours.oid = c.oid, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS g
      WHERE g.privilege_type <> 'MAINTAIN' GROUP BY c.oid, g.grantee
      UNION ALL SELECT format('%s %s EXECUTE', p.oid::regprocedure, CASE WHEN g.grantee = 0 THEN 'public' ELSE pg_get_userbyid(g.grantee) END)
      FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS g WHERE p.pronamespace = 'codespar'::regnamespace
    ) AS lines`,
  functions: `
    SELECT pg_get_functiondef(p.oid) FROM pg_proc AS p WHERE p.pronamespace = 'codespar'::regnamespace
    ORDER BY p.oid::regprocedure::text COLLATE "C"`,
};

const ours = `WITH ours AS (SELECT c.oid FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND n.nspname IN ('public', 'codespar'))`;

/** Describes the schema of a migrated database. */
export async function describeSchema(client: Client): Promise<string> {
  await client.query("SET search_path = pg_catalog");
  const sections: string[] = [];
  for (const [title, query] of Object.entries(queries)) {
    const { rows } = await client.query<[string]>({ text: `${ours} ${query}`, rowMode: "array" });
    const lines = rows.map(([line]) => line);
    // Columns stay in their order.
    sections.push([`== ${title}`, ...(title === "columns" ? lines : lines.sort())].join("\n"));
  }
  return `${sections.join("\n\n")}\n`;
}

/** A table of ours, as the catalogue has it. */
export interface CatalogueTable {
  readonly name: string;
  readonly columns: readonly string[];
  readonly enabled: boolean;
  readonly forced: boolean;
  readonly policies: readonly string[];
  readonly triggers: readonly string[];
  readonly owner: string;
  /** What `codespar_app` may do to it. */
  readonly grants: readonly string[];
  /** What `codespar_maintenance` may do to it. */
  readonly maintenance: readonly string[];
  /** The first column of each unique index. */
  readonly uniqueLeads: readonly string[];
}

/** Reads every table in our schemas. */
export async function readTables(client: Client): Promise<CatalogueTable[]> {
  const { rows } = await client.query<CatalogueTable>(`
    SELECT format('%s.%s', n.nspname, c.relname) AS name, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced,
      pg_get_userbyid(c.relowner) AS owner,
      ARRAY(SELECT a.attname::text FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0) AS columns,
      ARRAY(SELECT p.polname::text FROM pg_policy AS p WHERE p.polrelid = c.oid ORDER BY 1) AS policies,
      ARRAY(SELECT t.tgname::text FROM pg_trigger AS t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled = 'A' ORDER BY 1) AS triggers,
      ARRAY(SELECT v FROM unnest(ARRAY['DELETE', 'INSERT', 'SELECT', 'TRUNCATE', 'UPDATE']) AS v
        WHERE has_table_privilege('codespar_app', c.oid, v)) AS grants,
      ARRAY(SELECT v FROM unnest(ARRAY['DELETE', 'INSERT', 'SELECT', 'TRUNCATE', 'UPDATE']) AS v
        WHERE has_table_privilege('codespar_maintenance', c.oid, v)) AS maintenance,
      ARRAY(SELECT a.attname::text FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = c.oid AND i.indisunique) AS "uniqueLeads"
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname IN ('public', 'codespar') ORDER BY 1`);
  return rows;
}
