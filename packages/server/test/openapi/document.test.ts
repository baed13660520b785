import { createStorage } from "@codespar/core";
import { buildServer } from "@codespar/server";
import { expect, it } from "vitest";
import type { Description, Operation } from "../support/contract.ts";

const app = await buildServer({ storage: createStorage() });
const description = app.swagger() as unknown as Description;
const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(
    ([method, operation]) => [`${method} ${path}`, path, operation] as const,
  ),
);

it("is OpenAPI 3.1 with exactly the routes of the design", () => {
  expect(description.openapi).toBe("3.1.0");
  expect(operations.map(([name]) => name).sort()).toEqual(
    [
      "get /health",
      "get /livez",
      "get /readyz",
      "get /api/agents",
      "post /api/agents",
      "get /api/agents/{agentId}",
      "delete /api/agents/{agentId}",
      "post /api/agents/{agentId}/action",
      "get /api/agents/{agentId}/memory",
      "post /api/agents/{agentId}/memory",
      "get /api/agents/{agentId}/memory/{key}",
      "put /api/agents/{agentId}/memory/{key}",
      "delete /api/agents/{agentId}/memory/{key}",
      "get /api/agents/{agentId}/repository",
      "put /api/agents/{agentId}/repository",
      "patch /api/agents/{agentId}/repository",
      "delete /api/agents/{agentId}/repository",
      "get /api/projects",
      "post /api/projects",
      "get /api/projects/{id}",
      "patch /api/projects/{id}",
      "delete /api/projects/{id}",
      "get /api/audit",
      "post /api/audit",
      "get /api/audit/verify",
      "get /api/audit/{seq}",
      "post /api/audit/intents",
      "post /api/audit/intents/{id}/outcome",
      "post /api/audit/{seq}/redact",
      "get /api/audit/checkpoint",
      "get /api/audit/checkpoints",
      "get /api/audit/{seq}/proof",
      "get /api/audit/consistency",
      "get /api/audit/keys",
      "post /api/audit/keys/rotate",
      "get /api/audit/export",
      "get /api/events",
      "get /api/keys",
      "post /api/keys",
      "delete /api/keys/{id}",
      "post /api/keys/{id}/rotate",
      "get /api/orgs",
      "get /api/orgs/{orgId}",
      "get /api/orgs/{orgId}/export",
      "delete /api/orgs/{orgId}",
      "get /api/secrets/status",
      "post /api/secrets/rotate",
      "get /api/integrations",
      "get /api/integrations/{name}",
      "put /api/integrations/{name}",
      "delete /api/integrations/{name}",
      "get /api/integrations/{name}/credentials",
      "get /api/slack/installations",
      "delete /api/slack/installations",
      "get /api/slack/installations/tokens",
    ].sort(),
  );
});

it.each(operations)("describes %s in full", (_name, path, operation: Operation) => {
  const known = description.tags.map(({ name }) => name);
  expect(known).toEqual(expect.arrayContaining([...operation.tags]));
  expect(operation.tags).toHaveLength(1);
  expect(operation.summary.length).toBeGreaterThan(5);
  const statuses = Object.keys(operation.responses);
  expect(statuses.some((status) => status.startsWith("2"))).toBe(true);
  if (path.startsWith("/api/"))
    expect(statuses).toEqual(expect.arrayContaining(["400", "401", "500", "503"]));
  for (const [status, response] of Object.entries(operation.responses)) {
    expect(response.description.length).toBeGreaterThan(5);
    const types = Object.keys(response.content ?? {});
    if (Number(status) >= 400 && path.startsWith("/api/"))
      expect(types).toEqual(["application/problem+json"]);
  }
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
  const parameters = (operation.parameters ?? []).filter((parameter) => parameter.in === "path");
  expect(parameters.map(({ name }) => name)).toEqual(inPath);
});

it("describes the headers of answers", () => {
  const headersOf = (path: string, method: string, status: number) =>
    Object.keys(description.paths[path]?.[method]?.responses[status]?.headers ?? {}).sort();
  const always = ["RateLimit", "RateLimit-Policy", "X-Request-Id"];
  const entry = "/api/agents/{agentId}/memory/{key}";
  for (const [method, status] of [
    ["get", 200],
    ["get", 304],
    ["put", 200],
    ["put", 201],
  ] as const)
    expect(headersOf(entry, method, status)).toEqual(["ETag", ...always]);
  expect(headersOf(entry, "delete", 204)).toEqual(always);
  expect(headersOf("/api/projects", "post", 201)).toEqual(["ETag", "Location", ...always]);
  expect(headersOf("/api/audit", "post", 201)).toEqual(["Location", ...always]);
  expect(headersOf("/api/agents", "get", 401)).toEqual([
    ...always.slice(0, 2),
    "WWW-Authenticate",
    "X-Request-Id",
  ]);
  expect(headersOf("/api/agents", "get", 429)).toEqual([
    ...always.slice(0, 2),
    "Retry-After",
    "X-Request-Id",
  ]);
  expect(headersOf("/health", "get", 200)).toEqual(["X-Request-Id"]);
  expect(headersOf("/api/audit/export", "get", 200)).toEqual([
    "Content-Disposition",
    ...always.slice(0, 2),
    "X-Audit-Checkpoint",
    "X-Audit-Warning",
    "X-Request-Id",
  ]);
  for (const [, , { responses }] of operations)
    for (const { headers = {} } of Object.values(responses))
      for (const header of Object.values(headers))
        expect(header).toEqual({ description: expect.any(String), schema: { type: "string" } });
});

it("gives each operation an id of its own", () => {
  const ids = operations.map(([, , { operationId }]) => operationId);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.every((id) => /^[a-z][A-Za-z]+$/.test(id))).toBe(true);
});

it("refers only to schemas that it holds, and holds none that nothing refers to", () => {
  const text = JSON.stringify(description);
  const referred = new Set(
    [...text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name),
  );
  const { components } = description as unknown as { components: { schemas: object } };
  expect([...referred].sort()).toEqual(Object.keys(components.schemas).sort());
  expect(text).not.toContain("readOnly");
});

it("describes the limit of a page as a number with its bounds", () => {
  const listing = description.paths["/api/agents"]?.["get"];
  expect(listing?.parameters).toContainEqual(
    expect.objectContaining({
      name: "limit",
      required: false,
      schema: expect.objectContaining({ type: "integer", minimum: 1, maximum: 1000 }),
    }),
  );
});
