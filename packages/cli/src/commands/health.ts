import type { Health } from "@codespar/core";
import type { Command } from "commander";
import { contextOf } from "../context.ts";
import { exitCodeOf, exitCodes } from "../exit-codes.ts";
import { CommandFailure } from "../failure.ts";
import { withExamples } from "../help.ts";
import { jsonText, print } from "../output.ts";
import { throughServer, withStore } from "../store/open-store.ts";
import type { Store } from "../store/store.ts";
import { checkUrl } from "../values.ts";

/** `codespar health` */
export function addHealth(program: Command): void {
  const command = program
    .command("health")
    .description("tell how the storage is; the exit status is 0 only when it can be used")
    .option(
      "--url <url>",
      "ask the server at this address instead, for example http://localhost:3000",
    )
    .action(showHealth);
  withExamples(command, "codespar health", "codespar health --url http://localhost:3000 --json");
}

/** Less than a minute, as a call may take: monitors wait for an answer. More than a new process needs to connect on a busy machine. */
const timeoutMs = 5_000;

async function showHealth(flags: { url?: string }, command: Command): Promise<void> {
  const context = contextOf(command);
  const health = withKey(
    flags.url === undefined
      ? await withStore(context, "read", healthWithRead)
      : await throughServer({ url: checkUrl("--url", flags.url) }, (store) =>
          store.health({ timeoutMs }),
        ),
  );
  const { ok, code, reason, ...storage } = health;
  const status = ok ? "ok" : "unavailable";
  await print(context.json ? jsonText({ status, code, reason, storage }) : summary(health));
  if (ok) return;
  throw new CommandFailure(
    code === "CORRUPTION" || code === "KEY_MISMATCH" ? exitCodeOf[code] : exitCodes.unavailable,
    reason ?? "The storage can't be used. Look at the server's log.",
  );
}

/** A storage looks after its organisations only when they are used, so one that is well may hold one that can't be. */
async function healthWithRead(store: Store): Promise<Health> {
  const health = await store.health({ timeoutMs });
  if (!health.ok) return health;
  const { StorageError } = await import("@codespar/core");
  try {
    await store.memory.getEntry("codespar", "health");
    return health;
  } catch (error) {
    if (!StorageError.is(error) || exitCodeOf[error.code] === exitCodes.usage) throw error;
    return { ...health, ok: false, durable: null, code: error.code, reason: error.message };
  }
}

/** With another key than the one that sealed what is stored no server starts, so such a storage can't be used. */
function withKey(health: Health): Health {
  if (!health.ok || health.encryption !== "mismatch") return health;
  const reason =
    "CODESPAR_ENCRYPTION_KEY is not the key that seals what is stored. Set that key: codespar secrets status names it.";
  return { ...health, ok: false, code: "KEY_MISMATCH", reason };
}

const secretsText = {
  ready: "ready",
  missing: "no encryption key",
  mismatch: "the encryption key is not the one that sealed them",
} as const satisfies Record<Exclude<Health["encryption"], null>, string>;

/** What could not be looked at. */
const unknown = "unknown";

function summary(health: Health): string {
  const { ok, backend, latencyMs, durable, isolation, migrations, encryption, warnings } = health;
  const lines = [
    `status:     ${ok ? "ok" : "unavailable"}`,
    `storage:    ${backend === "file" ? "files" : "postgres"} (${latencyMs.toFixed(1)} ms)`,
    `durable:    ${durable === null ? unknown : durable ? "yes" : "no"}`,
    `isolation:  ${isolation ?? unknown}`,
    `migrations: ${migrations === null ? unknown : `${migrations.applied} applied, ${migrations.pending} pending`}`,
    `secrets:    ${encryption === null ? unknown : secretsText[encryption]}`,
  ];
  return [...lines, ...warnings.map((warning) => `warning:    ${warning}`)].join("\n");
}
