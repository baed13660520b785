import { createHash } from "node:crypto";
import type { Storage } from "@codespar/core";
import { holds } from "../access/principal.ts";
import type { App } from "../app-types.ts";
import { type Count, homePage } from "../home/page.ts";
import { homeStyle } from "../home/style.ts";
import type { StorageOf } from "../http/scope.ts";
import type { HealthReport } from "./health.ts";

const styleHash = createHash("sha256").update(homeStyle).digest("base64");
const contentSecurityPolicy = [
  "default-src 'none'",
  `style-src 'sha256-${styleHash}'`,
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Counting stops at one page: the page says "1000+" then. */
const countLimit = 1000;

/** What browsers ask for beside every page: three links of a chain. */
const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none" stroke="#2563eb" stroke-width="3"><rect x="2" y="11" width="12" height="10" rx="5"/><rect x="10" y="11" width="12" height="10" rx="5"/><rect x="18" y="11" width="12" height="10" rx="5"/></svg>`;

/** `/favicon.ico` */
export function iconRoute(app: App): void {
  app.get("/favicon.ico", { schema: { hide: true }, config: { access: "public" } }, (_, reply) =>
    reply.header("cache-control", "public, max-age=86400").type("image/svg+xml").send(icon),
  );
}

/** `/`: how the system is, for people, until the dashboard takes its place. */
export function homeRoute(
  app: App,
  storageOf: StorageOf,
  readHealth: () => Promise<HealthReport>,
): void {
  app.get("/", { schema: { hide: true }, config: { access: "local" } }, async (request, reply) => {
    const storage = storageOf(request);
    const health = await readHealth();
    const { principal } = request;
    const needsKey = principal?.kind !== "local";
    const mayCount = principal !== null && holds(principal, "read");
    const counts = mayCount && health.status === "ok" ? await countAll(storage) : [];
    const origin = `http://${request.host}`;
    return reply
      .code(health.status === "ok" ? 200 : 503)
      .header("content-security-policy", contentSecurityPolicy)
      .type("text/html; charset=utf-8")
      .send(homePage({ health, counts, orgId: storage.orgId, origin, needsKey }));
  });
}

async function countAll(storage: Storage): Promise<Count[]> {
  const [agents, projects, audit] = await Promise.all([
    storage.agentStates.list({ limit: countLimit }),
    storage.projects.list({ limit: countLimit }),
    storage.audit.list({ limit: 1 }),
  ]);
  return [
    { label: "agents", count: agents.items.length, more: agents.nextCursor !== null },
    { label: "projects", count: projects.items.length, more: projects.nextCursor !== null },
    { label: "audit entries", count: (audit.items[0]?.seq ?? -1) + 1, more: false },
  ];
}
