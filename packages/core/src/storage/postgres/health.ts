import { performance } from "node:perf_hooks";
import { StorageError } from "../../errors/storage-error.ts";
import type { Health } from "../health.ts";
import type { Connections } from "./connections.ts";
import type { KeyStore } from "./key-store.ts";
import { pendingError } from "./migrations/state.ts";
import type { DatabaseFacts, Session } from "./session.ts";

/** As `Backend.health`. */
export async function checkHealth(
  session: Session,
  keys: KeyStore,
  connections: Connections,
  timeoutMs: number,
): Promise<Health> {
  const start = performance.now();
  const elapsed = () => Math.round((performance.now() - start) * 10) / 10;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const label = connections.label;
      reject(
        new StorageError(
          "UNAVAILABLE",
          `PostgreSQL ${label} didn't answer within ${timeoutMs} ms. Check that it is up and reachable.`,
        ),
      );
    }, timeoutMs);
  });
  const seen: { facts?: DatabaseFacts } = {};
  try {
    return await Promise.race([late, look(session, keys, connections.label, seen, elapsed)]);
  } catch (error) {
    const failure = connections.storageError(error);
    return {
      ...describe(seen.facts),
      ok: false,
      latencyMs: elapsed(),
      encryption: keys.isConfigured ? null : "missing",
      code: failure.code,
      reason: failure.message,
    };
  } finally {
    clearTimeout(timer);
  }
}

async function look(
  session: Session,
  keys: KeyStore,
  label: string,
  seen: { facts?: DatabaseFacts },
  elapsed: () => number,
): Promise<Health> {
  const facts = await session.look();
  seen.facts = facts;
  const latencyMs = elapsed();
  if (facts.migrations.pending > 0) throw pendingError(label, facts.migrations.pending);
  return { ...describe(facts), ok: true, latencyMs, encryption: await keys.state() };
}

function describe(facts: DatabaseFacts | undefined) {
  return {
    backend: "postgres" as const,
    durable: facts ? isDurable(facts) : null,
    isolation: facts?.isolation ?? null,
    migrations: facts?.migrations ?? null,
    warnings: facts ? warningsOf(facts) : [],
  };
}

function isDurable({ synchronousCommit }: DatabaseFacts): boolean {
  return !["off", "local"].includes(synchronousCommit);
}

function warningsOf(facts: DatabaseFacts): string[] {
  const warnings: string[] = [];
  if (!isDurable(facts)) {
    warnings.push(
      `synchronous_commit is ${facts.synchronousCommit}: acknowledged writes can be lost in a crash. Set it to on for the user of DATABASE_URL.`,
    );
  }
  if (facts.bypassesPolicies) {
    warnings.push(
      "the user of DATABASE_URL passes row-level security by: only the queries' own filters keep organisations apart. Use a user without SUPERUSER and BYPASSRLS.",
    );
  }
  return warnings;
}
