import type { HealthReport } from "../routes/health.ts";
import { homeStyle } from "./style.ts";

/** How many there are of something; `more` when counting stopped. */
export interface Count {
  readonly label: string;
  readonly count: number;
  readonly more: boolean;
}

/** What the page shows. */
export interface HomeContent {
  readonly health: HealthReport;
  /** Empty while the storage can't be asked. */
  readonly counts: readonly Count[];
  readonly orgId: string;
  /** Where this server is reached, for the examples. */
  readonly origin: string;
  /** Whether requests need an API key, so that a browser can't follow links to data. */
  readonly needsKey: boolean;
}

/** The page as HTML: no script, nothing from elsewhere. */
export function homePage({ health, counts, orgId, origin, needsKey }: HomeContent): string {
  const { status } = health;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>CodeSpar: ${status}</title>
<style>${homeStyle}</style>
</head>
<body>
<main>
<header><h1>CodeSpar</h1><span class="state ${status}">${status}</span></header>
<p>The system of record for agents: what they remember, what they may do, and a tamper-evident trail of what they did.</p>
${notes(health)}
${countCards(counts, orgId)}
<h2 id="storage">Storage</h2>
${storageFacts(health)}
<h2 id="next">Where to go next</h2>
<ul class="grid">
${link("/docs", "API reference", "Every route, with its schemas")}
${link("/openapi.json", "OpenAPI 3.1", "The same for programs")}
${link("/health", "Health", "For monitors: 200 or 503")}
${needsKey ? "" : dataLinks}
</ul>
<h2 id="try">Try it</h2>
<pre tabindex="0" aria-labelledby="try">${escapeHtml(examples(origin, needsKey))}</pre>
</main>
</body>
</html>
`;
}

function notes({ reason, storage }: HealthReport): string {
  const bad =
    reason === undefined ? [] : [`<p class="note bad" role="alert">${escapeHtml(reason)}</p>`];
  const warnings = storage.warnings.map((text) => `<p class="note warn">${escapeHtml(text)}</p>`);
  return [...bad, ...warnings].join("\n");
}

function countCards(counts: readonly Count[], orgId: string): string {
  if (counts.length === 0) return "";
  const cards = counts.map(
    ({ label, count, more }) =>
      `<li class="card"><strong>${count.toLocaleString("en")}${more ? "+" : ""}</strong><span>${escapeHtml(label)}</span></li>`,
  );
  return `<h2 id="counts">Organisation <span class="id">${escapeHtml(orgId)}</span></h2>\n<ul class="grid">\n${cards.join("\n")}\n</ul>`;
}

const backends = { file: "JSON files", postgres: "PostgreSQL" } as const;
const isolations = {
  files: "a folder for each",
  roles: "row-level security, under a role of its own",
  policies: "row-level security, under the tables' owner",
} as const;

const durabilities = { true: "yes: what is acknowledged survives a crash", false: "no" } as const;

function migrationsText({ applied, pending }: { applied: number; pending: number }): string {
  return `${applied} applied, ${pending} pending`;
}

function storageFacts({ storage, version, uptimeSeconds }: HealthReport): string {
  const { durable, isolation, migrations } = storage;
  const facts = [
    ["Backend", backends[storage.backend]],
    ["Latency", `${storage.latencyMs.toLocaleString("en", { maximumFractionDigits: 2 })} ms`],
    ["Durable", durable === null ? "unknown" : durabilities[`${durable}`]],
    ["Organisations kept apart by", isolation === null ? "unknown" : isolations[isolation]],
    ...(storage.backend === "file"
      ? []
      : [["Migrations", migrations === null ? "unknown" : migrationsText(migrations)]]),
    ["Version", `${version}, up for ${duration(uptimeSeconds)}`],
  ];
  const rows = facts.map(
    ([name = "", value = ""]) => `<dt>${name}</dt><dd>${escapeHtml(value)}</dd>`,
  );
  return `<dl class="card">${rows.join("\n")}</dl>`;
}

function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800
    ? `${Math.round(seconds / 3600)} h`
    : `${Math.round(seconds / 86_400)} days`;
}

function link(href: string, title: string, text: string): string {
  return `<li><a class="card" href="${href}"><b>${title}</b><br><span>${text}</span></a></li>`;
}

const dataLinks = [
  link("/api/audit", "Audit trail", "Its newest entries"),
  link("/api/audit/verify", "Verify the trail", "Checks every entry now"),
].join("\n");

function examples(origin: string, needsKey: boolean): string {
  if (needsKey) {
    return [
      "export CODESPAR_API_KEY=$(codespar keys create NAME)   # on the server's machine",
      `curl ${origin}/api/agents -H "authorization: Bearer $CODESPAR_API_KEY"`,
    ].join("\n");
  }
  return [
    `curl -X PUT ${origin}/api/agents/agent-1/memory/greeting \\`,
    `  -H 'content-type: application/json' -d '{"value": {"text": "hello"}}'`,
    `curl ${origin}/api/agents/agent-1/memory/greeting`,
    `curl ${origin}/api/audit/verify`,
    `curl -N ${origin}/api/events   # entries as they are sealed`,
  ].join("\n");
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
