import { describe, expect, test } from "vitest";
import { withoutPredicates } from "./without-predicates.ts";

const broken = { isData: true, isBroken: true };
const unbroken = { isData: true, isBroken: false };

describe("a statement without its predicates", () => {
  test("has lost all of them", () => {
    const { text } = withoutPredicates(
      'SELECT a.seq FROM "audit_log" AS a, "codespar"."audit_parts" AS p WHERE "a".org_id = $1 AND "p".org_id = $12',
    );
    expect(text).toBe(
      'SELECT a.seq FROM "audit_log" AS a, "codespar"."audit_parts" AS p WHERE ($1::text IS NOT NULL) AND ($12::text IS NOT NULL)',
    );
  });

  test.each([
    ['SELECT 1 FROM "subscribers" AS t WHERE "t".org_id = $1', broken],
    [
      'INSERT INTO "projects" AS t ("org_id", "id") VALUES ($1, $2) ON CONFLICT ("org_id", "id") DO UPDATE SET x = 1 WHERE "t".org_id = $1',
      broken,
    ],
    // One of two is written in another way.
    [
      'SELECT 1 FROM "projects" AS t JOIN audit_log AS a ON a.org_id = t.org_id WHERE "t".org_id = $1',
      unbroken,
    ],
    ['SELECT 1 FROM "projects" AS t WHERE "t".org_id = $1 AND t.org_id >= $1', unbroken],
    ['SELECT 1 FROM "projects" AS t WHERE "t".org_id = $1 AND $1 = t.org_id', unbroken],
    // One of two was forgotten.
    ['SELECT 1 FROM "projects" AS t, "audit_log" AS a WHERE "t".org_id = $1', unbroken],
    ['SELECT 1 FROM "projects"', unbroken],
    ["SELECT codespar.audit_append($1::text, 'audit_log')", { isData: false }],
  ])("is only counted when it has: %s", (text, expected) => {
    expect(withoutPredicates(text)).toMatchObject(expected);
  });
});
