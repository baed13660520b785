import pg from "pg";
import { StorageError } from "../../errors/storage-error.ts";
import { type DatabaseTarget, insistsOnTls, lacksTls, parseDatabaseUrl } from "./database-url.ts";
import type { LaneOptions } from "./lane.ts";
import { type Call, Pipeline } from "./pipeline.ts";
import {
  databaseError,
  isServerError,
  isStaleStatement,
  StatementTimeout,
  toStorageError,
} from "./sql-state.ts";
import type { WireRow } from "./wire.ts";

/** How connections are made and bounded. */
export interface ConnectionOptions {
  readonly databaseUrl?: string | undefined;
  /** The caller's own pool: used, never ended. */
  readonly pool?: pg.Pool | undefined;
  readonly maxConnections: number;
  readonly connectionTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly preparedStatements: boolean;
}

/** Why a pipeline failed, and what is known of its effects. */
export class PipelineFailure extends Error {
  override readonly name = "PipelineFailure";
  /**
   * `none`: nothing happened. `unknown`: the answer never came. `unreplicated`: it is committed here, where it can be seen, but no
   * synchronous standby confirmed it, so a failover may lose it.
   */
  readonly effect: "none" | "unknown" | "unreplicated";
  /** Whether nobody answered for as long as a statement may take, so that asking again would only take as long once more. */
  readonly isSilence: boolean;

  constructor(effect: PipelineFailure["effect"], cause: unknown) {
    super(databaseError(cause).message, { cause });
    this.effect = effect;
    this.isSilence = cause instanceof StatementTimeout;
  }
}

interface Lent {
  readonly client: pg.PoolClient;
  readonly release: (error?: Error | boolean) => void;
}

const replicationWarning = "the commit was not confirmed by the synchronous standby";

/** Clients with our listener. Of all backends: several may come and go on one pool of the caller's. */
const watched = new WeakSet<pg.PoolClient>();

/** The pool, and the one way in which statements are sent. */
export class Connections {
  /** `host/database`, for messages. */
  readonly label: string;
  readonly #options: ConnectionOptions;
  readonly #target: DatabaseTarget | null;
  readonly #prepare: boolean;
  #pool: pg.Pool | null;
  /** Whether connections are made with TLS that the URL leaves to us. */
  #tls: boolean;

  /** @throws StorageError `VALIDATION` when the URL can't be used */
  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#target = options.pool ? null : parseDatabaseUrl(options.databaseUrl ?? "");
    this.#pool = options.pool ?? null;
    this.#tls = this.#target?.prefersTls ?? false;
    this.label = this.#target?.label ?? "(the given pool)";
    this.#prepare = options.preparedStatements && (this.#target?.preparedStatements ?? true);
  }

  /**
   * Sends the calls as one transaction and one round trip. Prepared statements that aren't there any more are prepared again.
   *
   * @returns the rows of each call
   * @throws PipelineFailure
   */
  async run(calls: readonly Call[]): Promise<WireRow[][]> {
    for (let attempt = 1; ; attempt += 1) {
      const lent = await this.#borrow();
      try {
        return await this.#send(lent, calls);
      } catch (error) {
        const again =
          error instanceof PipelineFailure && isStaleStatement(error.cause) && attempt < 3;
        if (!again) throw error;
      }
    }
  }

  /** How long calls may wait for their turn, and what those hear that waited longer. */
  get patience(): Pick<LaneOptions, "maxWaitMs" | "overdue"> {
    const maxWaitMs = this.#options.statementTimeoutMs;
    return {
      maxWaitMs,
      overdue: () =>
        new StorageError(
          "UNAVAILABLE",
          `PostgreSQL ${this.label}: the calls before this one took longer than ${maxWaitMs} ms (statementTimeoutMs), so it was not sent. Check that the server is up and reachable, and not overloaded.`,
        ),
    };
  }

  /** Turns any error into ours. */
  storageError(error: unknown): StorageError {
    return toStorageError(error instanceof PipelineFailure ? error.cause : error, this.label);
  }

  /** Ends the library's own pool; the caller's is left alone. */
  async close(): Promise<void> {
    const pool = this.#pool;
    this.#pool = null;
    if (pool && !this.#options.pool) await pool.end();
  }

  #send({ client, release }: Lent, calls: readonly Call[]): Promise<WireRow[][]> {
    return new Promise((resolve, reject) => {
      let timedOut = false;
      const pipeline = new Pipeline(calls, this.#prepare, (error, rows) => {
        clearTimeout(timer);
        const failure = failureOf(
          pipeline,
          timedOut ? new StatementTimeout(this.#options.statementTimeoutMs) : error,
        );
        release(failure !== null && endsConnection(failure));
        if (failure === null) resolve(rows);
        else reject(failure);
      });
      // The server gives up a little earlier by itself; this is for a server, or a network, that is silent.
      const timer = setTimeout(() => {
        timedOut = true;
        pipeline.destroy();
      }, this.#options.statementTimeoutMs);
      client.query(pipeline);
    });
  }

  /** @param refusal - how the attempt with the other setting of TLS ended */
  async #borrow(refusal?: unknown): Promise<Lent> {
    const tls = this.#tls;
    try {
      return await this.#checkOut();
    } catch (error) {
      // TLS is tried where the login was refused without, and not kept where the server has none.
      const lacking = tls && lacksTls(error);
      const other = lacking || (!tls && this.#target && insistsOnTls(error, this.#target));
      if (other && (lacking || refusal === undefined)) await this.#useTls(!tls);
      if (other && refusal === undefined) return await this.#borrow(error);
      throw new PipelineFailure("none", this.#connectError(lacking ? refusal : error));
    }
  }

  async #useTls(tls: boolean): Promise<void> {
    if (this.#tls === tls) return;
    const pool = this.#pool;
    this.#tls = tls;
    this.#pool = null;
    await pool?.end();
  }

  #checkOut(): Promise<Lent> {
    this.#pool ??= this.#createPool();
    const pool = this.#pool;
    return new Promise((resolve, reject) => {
      pool.connect((error, client, release) => {
        if (error || !client) {
          reject(error ?? new Error("no client"));
          return;
        }
        if (!watched.has(client)) {
          // A connection lost while lent: the pipeline hears of it too, and without a listener the process would end.
          client.on("error", () => undefined);
          watched.add(client);
        }
        resolve({ client, release });
      });
    });
  }

  #createPool(): pg.Pool {
    const { maxConnections, connectionTimeoutMs } = this.#options;
    const pool = new pg.Pool({
      ...this.#target?.connection,
      ...(this.#tls ? { ssl: { rejectUnauthorized: false } } : {}),
      max: maxConnections,
      connectionTimeoutMillis: connectionTimeoutMs,
      idleTimeoutMillis: 30_000,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      allowExitOnIdle: true,
      fallback_application_name: "codespar",
    });
    // Idle connections that the server ends; the pool has dropped them already.
    pool.on("error", () => undefined);
    return pool;
  }

  #connectError(error: unknown): StorageError {
    const { message } = databaseError(error);
    if (/timeout/i.test(message)) {
      return new StorageError(
        "UNAVAILABLE",
        `PostgreSQL ${this.label}: no connection within ${this.#options.connectionTimeoutMs} ms. Check that it is up and reachable, or raise maxConnections.`,
        { cause: error },
      );
    }
    return toStorageError(error, this.label);
  }
}

function failureOf(pipeline: Pipeline, error: unknown): PipelineFailure | null {
  if (pipeline.warned)
    return new PipelineFailure("unreplicated", error ?? new Error(replicationWarning));
  if (error === null) return null;
  return new PipelineFailure(isServerError(error) || !pipeline.sent ? "none" : "unknown", error);
}

function endsConnection({ cause }: PipelineFailure): boolean {
  return !isServerError(cause) || isStaleStatement(cause);
}
