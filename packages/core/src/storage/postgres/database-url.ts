import type { PoolConfig } from "pg";
import { invalid } from "../../errors/storage-error.ts";
import { databaseError, lacksTlsMessage } from "./sql-state.ts";

/** Where a URL leads, and what it asks of the connection. */
export interface DatabaseTarget {
  /** For node-postgres. */
  readonly connection: Pick<PoolConfig, "connectionString" | "enableChannelBinding">;
  /** `host/database`, without user and password. */
  readonly label: string;
  readonly database: string;
  /** Whether TLS may be tried when the server insists on it: the URL says nothing about it. */
  readonly mayUpgradeToTls: boolean;
  /** Whether TLS is tried first, and done without where the server has none. */
  readonly prefersTls: boolean;
  /** `false` when the URL says that a pooler can't keep prepared statements. */
  readonly preparedStatements: boolean;
}

const remedy = "It must look like postgres://user:password@host:5432/database";
const sslModes = new Set([
  "disable",
  "allow",
  "prefer",
  "require",
  "verify-ca",
  "verify-full",
  "no-verify",
]);

/**
 * Reads a database URL in the forms of libpq, Railway, Heroku, Fly.io, Neon and Supabase. `sslmode` means what it means to libpq.
 *
 * @throws StorageError `VALIDATION` when it can't be used; the message never holds the password
 */
export function parseDatabaseUrl(text: string): DatabaseTarget {
  const trimmed = text.trim();
  if (trimmed === "")
    throw invalid(`The database URL is empty. ${remedy}, or unset DATABASE_URL to use files.`);
  const url = parseUrl(trimmed);
  const database = databaseOf(url);
  if (database === "" || database.includes("/")) {
    throw invalid(`The database URL must name one database. ${remedy}.`);
  }
  const tls = takeTls(url);
  const socket = url.searchParams.get("host");
  const channelBinding = url.searchParams.get("channel_binding");
  const preparedStatements = url.searchParams.get("pgbouncer") !== "true";
  for (const name of ["channel_binding", "pgbouncer"]) url.searchParams.delete(name);
  return {
    connection: {
      connectionString: url.href,
      ...(channelBinding === "require" || channelBinding === "prefer"
        ? { enableChannelBinding: true }
        : {}),
    },
    label: `${socket ?? url.host ?? ""}/${database}`,
    database,
    preparedStatements,
    ...tls,
  };
}

/** Makes `sslmode` mean to node-postgres what it means to libpq; what leaves the choice to the client is taken out, and ours. */
function takeTls(url: URL): Pick<DatabaseTarget, "mayUpgradeToTls" | "prefersTls"> {
  const { searchParams } = url;
  const sslMode = searchParams.get("sslmode");
  if (sslMode !== null && !sslModes.has(sslMode)) {
    throw invalid(
      `The database URL has sslmode=${sslMode}; it can be one of ${[...sslModes].join(", ")}.`,
    );
  }
  const own = ["ssl", "sslrootcert", "sslcert", "sslkey"].some((name) => searchParams.has(name));
  const prefersTls = sslMode === "prefer" && !own && !searchParams.has("host");
  const mayChoose = sslMode === null || sslMode === "allow" || prefersTls;
  if (mayChoose) searchParams.delete("sslmode");
  else if (sslMode !== "no-verify") searchParams.set("uselibpqcompat", "true");
  return { mayUpgradeToTls: mayChoose && !own && !searchParams.has("host"), prefersTls };
}

function databaseOf(url: URL): string {
  try {
    return decodeURIComponent(url.pathname.replace(/^\//, ""));
  } catch (error) {
    throw invalid(`The database's name in the URL is not percent-encoded UTF-8. ${remedy}.`, error);
  }
}

/** The same server's URL for another database. */
export function withDatabase(text: string, database: string): string {
  const url = parseUrl(text.trim());
  url.pathname = `/${encodeURIComponent(database)}`;
  return url.href;
}

/** Whether the server refused the login for want of TLS, and the URL leaves TLS to us: libpq's `sslmode=allow`. */
export function insistsOnTls(error: unknown, target: DatabaseTarget): boolean {
  return target.mayUpgradeToTls && databaseError(error).code === "28000";
}

/** Whether TLS was tried, as `insistsOnTls` has it, on a server without: then the login was refused for another reason. */
export function lacksTls(error: unknown): boolean {
  return databaseError(error).message === lacksTlsMessage;
}

function parseUrl(text: string): URL {
  // `postgres://user@/database?host=/socket` has no host, which only libpq takes for a URL.
  const url = [text, text.replace(/@\//, "@localhost/")]
    .map(parsed)
    .find((candidate) => candidate !== null);
  if (!url)
    throw invalid(
      `The database URL can't be read. ${remedy}; percent-encode special characters in the password.`,
    );
  if (url.protocol !== "postgres:" && url.protocol !== "postgresql:") {
    throw invalid(`The database URL begins with "${url.protocol}". ${remedy}.`);
  }
  return url;
}

function parsed(text: string): URL | null {
  return URL.canParse(text) ? new URL(text) : null;
}
