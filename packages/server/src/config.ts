import { resolve } from "node:path";
import { type KeepCheckpointsOptions, Secret } from "@codespar/core";
import { z } from "zod";
import { defaultRateLimits, type RateLimits } from "./access/rate-limits.ts";
import { ServerStartError } from "./errors.ts";

/** Levels of the log, from nothing to everything. */
export const logLevels = ["silent", "fatal", "error", "warn", "info", "debug", "trace"] as const;

/** What the environment says about how to run. Where data goes is `createStorage`'s to decide. */
export interface ServerConfig {
  /** Name or address to listen on. */
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  readonly logLevel: (typeof logLevels)[number];
  /** Runs the pending migrations at the start. */
  readonly autoMigrate: boolean;
  /** What `createStorage` seals secrets with: migrations look at it before they change anything. */
  readonly encryptionKey: Secret | null;
  /** Folder in which files would be kept; a server on PostgreSQL looks there for records it leaves aside. */
  readonly filesDirectory: string;
  /** Acts for every organisation. */
  readonly adminKey: Secret | null;
  /** Origins of pages that may ask from elsewhere. */
  readonly corsOrigins: readonly string[];
  readonly rateLimits: RateLimits;
  /** How many proxies of the operator's own or the platform's each request passes. */
  readonly trustedProxies: number;
  /** How often trails are signed, and where checkpoints are kept besides. */
  readonly checkpoints: Pick<KeepCheckpointsOptions, "everyEntries" | "everySeconds" | "anchors">;
  /** The platform whose file system is new after each deploy, unless a volume is mounted. */
  readonly platform: string | null;
}

const whole = (most: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `must be a whole number up to ${most}, or unset`)
    .transform(Number)
    .refine((number) => number <= most, `must be at most ${most}`);
const atLeastOne = (most: number) =>
  whole(most).refine((number) => number > 0, "must be at least 1");
const leastAdminKey = 32;

const variables = z.object({
  HOST: z.string().min(1, "must be a name or address, or unset").optional(),
  PORT: z
    .string()
    .regex(/^\d{1,5}$/, "must be a port number, or unset")
    .transform(Number)
    .refine((port) => port <= 65_535, "must be at most 65535")
    .default(3000),
  LOG_LEVEL: z.enum(logLevels, `must be one of ${logLevels.join(", ")}`).default("info"),
  CODESPAR_AUTO_MIGRATE: z
    .enum(["true", "false"], "must be true or false")
    .default("false")
    .transform((value) => value === "true"),
  CODESPAR_ENCRYPTION_KEY: z
    .string()
    .transform((key) => new Secret(key))
    .optional(),
  CODESPAR_ADMIN_KEY: z
    .string()
    .regex(
      /^(?!csk_)[\x21-\x7e]+$/,
      "must be printable ASCII without spaces, and not begin as an organisation's keys do, with csk_",
    )
    .min(
      leastAdminKey,
      `must have at least ${leastAdminKey} characters. Make one with: openssl rand -base64 32`,
    )
    .transform((key) => new Secret(key))
    .optional(),
  CORS_ORIGIN: z
    .string()
    .transform((list) => list.split(",").map((origin) => origin.trim()))
    .refine(
      (origins) => origins.every(isOrigin),
      "must name origins, with commas between: https://app.example.com. * isn't one: any page could then use a server without keys",
    )
    .default([]),
  CODESPAR_RATE_LIMIT_PER_ADDRESS: whole(1_000_000_000).default(defaultRateLimits.perAddress),
  CODESPAR_RATE_LIMIT_PER_KEY: whole(1_000_000_000).default(defaultRateLimits.perKey),
  CODESPAR_TRUSTED_PROXIES: whole(10).optional(),
  CODESPAR_CHECKPOINT_ENTRIES: atLeastOne(1_000_000).optional(),
  CODESPAR_CHECKPOINT_SECONDS: atLeastOne(86_400).optional(),
  CODESPAR_ANCHOR_DIR: z.string().min(1, "must be a folder, or unset").optional(),
  CODESPAR_ANCHOR_URL: z
    .string()
    .refine(
      (text) => /^https?:/.test(text) && URL.canParse(text),
      "must be an address that begins with https:// or http://, or unset",
    )
    .optional(),
  CODESPAR_STORAGE_DIR: z.string().default(".codespar"),
  CODESPAR_PLATFORM: z.string().min(1, "must be a name, or unset").optional(),
});

/** The environment's variables, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the server's configuration.
 *
 * @param environment - `process.env` by default
 * @throws ServerStartError naming the first variable that isn't acceptable, and what is
 */
export function readConfig(environment: Environment = process.env): ServerConfig {
  const parsed = variables.safeParse(environment);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new ServerStartError(`${issue?.path.join(".")} ${issue?.message}.`, {
      configuration: true,
    });
  }
  const { data } = parsed;
  const recognised = platformOf(environment);
  const platform = data.CODESPAR_PLATFORM ?? recognised?.name ?? null;
  return {
    host: data.HOST ?? (platform === null ? "localhost" : "::"),
    port: data.PORT,
    logLevel: data.LOG_LEVEL,
    autoMigrate: data.CODESPAR_AUTO_MIGRATE,
    encryptionKey: data.CODESPAR_ENCRYPTION_KEY ?? null,
    filesDirectory: resolve(data.CODESPAR_STORAGE_DIR),
    adminKey: data.CODESPAR_ADMIN_KEY ?? null,
    corsOrigins: data.CORS_ORIGIN,
    rateLimits: {
      perAddress: data.CODESPAR_RATE_LIMIT_PER_ADDRESS,
      perKey: data.CODESPAR_RATE_LIMIT_PER_KEY,
    },
    trustedProxies: data.CODESPAR_TRUSTED_PROXIES ?? recognised?.proxies ?? 0,
    checkpoints: checkpointsOf(data),
    platform,
  };
}

function checkpointsOf(data: z.output<typeof variables>): ServerConfig["checkpoints"] {
  const { CODESPAR_CHECKPOINT_ENTRIES: everyEntries, CODESPAR_CHECKPOINT_SECONDS: everySeconds } =
    data;
  const { CODESPAR_ANCHOR_DIR: folder, CODESPAR_ANCHOR_URL: url } = data;
  return {
    ...(everyEntries !== undefined && { everyEntries }),
    ...(everySeconds !== undefined && { everySeconds }),
    anchors: [
      ...(folder === undefined ? [] : [{ directory: resolve(folder) }]),
      ...(url === undefined ? [] : [{ url }]),
    ],
  };
}

/** As browsers write it: scheme, host and port, nothing behind. */
function isOrigin(text: string): boolean {
  return /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}

/**
 * The platforms tell that they run us through variables of their own. Each adds the caller's address to `X-Forwarded-For`, Fly.io one of the app's
 * own behind it.
 */
function platformOf(
  environment: Environment,
): { readonly name: string; readonly proxies: number } | null {
  const names = Object.keys(environment);
  if (names.some((name) => name.startsWith("RAILWAY_"))) return { name: "Railway", proxies: 1 };
  if (names.some((name) => name.startsWith("FLY_"))) return { name: "Fly.io", proxies: 2 };
  return names.includes("DYNO") ? { name: "Heroku", proxies: 1 } : null;
}
