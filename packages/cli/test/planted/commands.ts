import { join } from "node:path";
import type { Token, Tokens } from "./tokens.ts";

type Environment = Readonly<Record<string, string>>;

/** Commands that read, list and write out, wherever they find the storage. @param folder - made for their files */
export function reading(folder: string, orgId: string, { canary }: Tokens): string[][] {
  const org = ["--org", orgId];
  const output = (name: string) => ["--output", join(folder, name)];
  return [
    ["memory", "get", canary.text, canary.text, ...org],
    ["memory", "list", canary.text, "--json", ...org],
    ["keys", "list", ...org],
    ["keys", "list", "--json", ...org],
    ["secrets", "status"],
    ["secrets", "status", "--json"],
    ["audit", "list", "--all", "--json", ...org],
    ["audit", "show", "0", ...org],
    ["audit", "verify", ...org],
    ["audit", "keys", "--json", ...org],
    ["audit", "export", ...output("bundle"), ...org],
    ["audit", "export", "--format", "jsonl", ...output("trail.jsonl"), ...org],
    ["audit", "export", "--format", "csv", ...output("trail.csv"), ...org],
    ["health", "--json", ...org],
    ["orgs", "list"],
    ["orgs", "show", orgId],
    ["orgs", "export", orgId, ...output("archive.jsonl")],
  ];
}

/** Erases the organisation, and takes it over again from what {@link reading} wrote. */
export function erasing(folder: string, orgId: string): string[][] {
  return [
    ["orgs", "erase", orgId, "--confirm", orgId],
    ["orgs", "import", orgId, join(folder, "archive.jsonl")],
  ];
}

/** What people get wrong with secrets at hand, with what they have set then. */
export function misuse(
  orgId: string,
  { admin, credential, nextKey, password, slack }: Tokens,
  { text: key }: Token,
): [args: string[], env?: Environment][] {
  const org = ["--org", orgId];
  const start = ["start", "--port", "0"];
  const health = ["health"];
  const database = (text: string) => ({ DATABASE_URL: text });
  return [
    [["keys", "revoke", key, ...org]],
    [["keys", "rotate", key, ...org]],
    [["keys", "create", "name", "--scopes", key, ...org]],
    [["keys", "create", "name", "--expires-at", key, ...org]],
    [["keys", "list", "--cursor", key, ...org]],
    [["keys", key, ...org]],
    [["memory", "set", "agent", "key", slack.text, ...org]],
    [["memory", "set", "agent", "key", `"${credential.text}`, ...org]],
    [["audit", "show", key, ...org]],
    [["audit", "list", "--from", key, ...org]],
    [["keys", "list"], { CODESPAR_SERVER: key }],
    [["keys", "list"], { CODESPAR_SERVER: `https//user:${password.text}@host` }],
    [["keys", "list"], { CODESPAR_SERVER: "http://127.0.0.1:1", CODESPAR_API_KEY: key }],
    [["keys", "list"], { CODESPAR_SERVER: `http://u:${password.text}@127.0.0.1:1` }],
    [["keys", "list"], { CODESPAR_SERVER: "http://127.0.0.1:1", CODESPAR_API_KEY: `${key}\n` }],
    [["secrets", "status"], { CODESPAR_ENCRYPTION_KEY: credential.text }],
    [["secrets", "rotate"], { CODESPAR_ENCRYPTION_KEY: nextKey.text }],
    [start, { CODESPAR_ENCRYPTION_KEY: nextKey.text }],
    [start, { CODESPAR_ENCRYPTION_KEY: `${nextKey.text},${slack.text}` }],
    [start, { CODESPAR_ADMIN_KEY: `${admin.text} ${admin.text}` }],
    [start, { CODESPAR_ADMIN_KEY: key }],
    [start, { PORT: key }],
    [start, { LOG_LEVEL: key }],
    [start, { CORS_ORIGIN: `https://user:${password.text}@host` }],
    [start, { CODESPAR_ANCHOR_URL: `ftp://user:${password.text}@host` }],
    [start, { CODESPAR_RATE_LIMIT_PER_KEY: key }],
    [start, database(`postgres://user:${password.text}@host:port/database`)],
    [health, database(`postgres://user:${password.text}@host:port/database`)],
    [health, database(`postgres//user:${password.text}@host/database`)],
    [health, database(`postgres://user:${password.text}@127.0.0.1:1/database`)],
    [health, database(`postgres://user:${password.text}@127.0.0.1:1/database?sslmode=x`)],
    [["migrate"], database(`postgres://user:${password.text}@127.0.0.1:1/database`)],
    [["move", "--from", "file:nowhere", "--to", `postgres//u:${password.text}@host/database`]],
    [["move", "--from", "file:nowhere", "--to", `postgres://u:${password.text}@127.0.0.1:1/d`]],
    [["audit", "verify", `postgres://u:${password.text}@127.0.0.1:1/d`]],
    [["audit", "verify", `postgres//u:${password.text}@127.0.0.1:1/d`]],
  ];
}
