import { randomBytes } from "node:crypto";
import {
  type CheckpointKeeper,
  createStorage,
  hasApiKeys,
  migrate,
  publishServer,
  Secret,
  type Storage,
  type StorageError,
  storageTarget,
} from "@codespar/core";
import { destination, pino } from "pino";
import { buildServer } from "./app.ts";
import type { App } from "./app-types.ts";
import { accessNote, durabilityWarning, moveHint, storageLine, troubleNote } from "./banner.ts";
import { startCheckpoints } from "./checkpoints.ts";
import { readConfig, type ServerConfig } from "./config.ts";
import { deferred } from "./deferred.ts";
import { listen } from "./listen.ts";
import { closeWithin, stopOnSignals } from "./shutdown.ts";
import { StorageCheck } from "./storage-check.ts";

/** What can be said at the start besides the environment. */
export interface StartOptions {
  /** Wins over what the environment says. */
  readonly config?: Partial<ServerConfig>;
  /** Stops gracefully on SIGTERM and SIGINT, then ends the process. Default `true`. */
  readonly signals?: boolean;
  /** Where the lines for people go. Default: standard error; standard output is the log's. */
  readonly say?: (line: string) => void;
}

/** A server that is listening. */
export interface RunningServer {
  readonly url: string;
  /**
   * Resolves once the server has been closed. Rejects with a StorageError when a storage that couldn't be reached at the start turns out to
   * be one that this server must not use, such as `KEY_MISMATCH`; the server is closed then.
   */
  readonly ended: Promise<void>;
  /** Finishes what is in flight, at most ten seconds long, then lets go of port and storage. Idempotent. */
  close(): Promise<void>;
}

/** Lines are gathered for at most a tenth of a second: one write each would cost as much as the request. An exit writes the rest. */
const logTarget = { dest: 1, sync: false, minLength: 8192, periodicFlush: 100 } as const;

/**
 * Runs the server that the environment describes. Standard output carries its log, one JSON object a line; standard error
 * says where data goes and where it listens.
 *
 * A database that can't be reached, or lacks migrations, doesn't keep it from starting: it says so, and `/health` does until it is well.
 * Until the storage is known to be the right one, with the right key, nothing is served of it and nothing is written to it.
 *
 * @throws ServerStartError for an unusable variable or a port that is taken
 * @throws StorageError `VALIDATION` for an unusable `DATABASE_URL`; `STORAGE_LOCKED`, `CORRUPTION`, `KEY_MISMATCH`, `SCHEMA_DRIFT`,
 * `MOVE_UNFINISHED` when the storage can't be used and waiting won't help; with `CODESPAR_AUTO_MIGRATE`, whatever stopped the migration
 */
export async function startServer(options: StartOptions = {}): Promise<RunningServer> {
  const config = { ...readConfig(), ...options.config };
  const say = options.say ?? ((line: string) => void process.stderr.write(`${line}\n`));
  const target = storageTarget();
  const log = destination(logTarget);
  const logger = pino({ level: config.logLevel }, log);
  say(storageLine(target));
  const warning = durabilityWarning(target, config.platform);
  if (warning !== undefined) say(`warning: ${warning}`);
  if (config.autoMigrate && target.backend === "postgres")
    await migrateNow(target.databaseUrl, config.encryptionKey, say);

  const storage = createStorage();
  const { adminKey, corsOrigins, rateLimits, trustedProxies } = config;
  const commandLineToken = new Secret(randomBytes(32).toString("base64url"));
  let keeper: CheckpointKeeper | undefined;
  const check = new StorageCheck(storage, logger);
  const app = await buildServer({
    storage,
    check,
    checkpoints: () => keeper?.status(),
    logger,
    durabilityWarning: warning,
    adminKey: adminKey ?? undefined,
    commandLineToken,
    corsOrigins,
    rateLimits,
    trustedProxies,
  });
  const end = deferred();
  const closeAll = closeWithin(app, logger, async () => {
    check.stop();
    await keeper?.close();
    await storage.close();
  });
  const close = async () => {
    await closeAll();
    end.resolve();
  };
  check.settled.then(
    () => {
      keeper = startCheckpoints(storage, config, logger);
    },
    async (error: unknown) => {
      await closeAll().catch(() => undefined);
      end.reject(error);
    },
  );
  const opening = open(app, storage, config, { check, commandLineToken });
  // Before its first answer: whoever sees it healthy may stop it at once. Stopping waits until it stands.
  if (options.signals !== false) stopOnSignals(() => opening.then(close, close), logger, say);
  try {
    const { url, trouble, isOpen } = await opening;
    // On a terminal both streams meet: in the order of what happened.
    log.flushSync();
    say(`CodeSpar is listening on ${url}`);
    if (isOpen !== null) say(accessNote(config.host, isOpen));
    if (trouble !== null) {
      logger.warn({ code: trouble.code, reason: trouble.message }, "the storage can't be used yet");
      say(troubleNote(trouble));
    }
    const hint = moveHint(target, config.filesDirectory);
    if (hint !== undefined) say(hint);
    return { url, ended: end.promise, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function migrateNow(
  databaseUrl: string,
  encryptionKey: Secret | null,
  say: (line: string) => void,
): Promise<void> {
  const { applied, total } = await migrate({
    databaseUrl,
    ...(encryptionKey !== null && { encryptionKey: encryptionKey.reveal() }),
    onMigration: (name) => say(`applying ${name}`),
  });
  if (applied.length > 0) say(`migrated: ${applied.length} applied, ${total} in all`);
}

/** The port first: a server that runs already is told by it, before waiting for the lock that it holds. Nothing is served before the check. */
async function open(
  app: App,
  storage: Storage,
  config: ServerConfig,
  { check, commandLineToken }: { readonly check: StorageCheck; readonly commandLineToken: Secret },
): Promise<Opened> {
  const url = await listen(app, config);
  const trouble = await check.run();
  if (trouble !== null) return { url, trouble, isOpen: null };
  const isOpen = config.adminKey === null && !(await hasApiKeys(storage));
  // From here on the command line comes to us instead of meeting the lock.
  await publishServer({ url, token: commandLineToken });
  return { url, trouble, isOpen };
}

interface Opened {
  readonly url: string;
  readonly trouble: StorageError | null;
  /** Whether requests of this machine need no key; `null` when the storage can't tell yet. */
  readonly isOpen: boolean | null;
}
