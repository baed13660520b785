import type { MemorySetOptions } from "@codespar/core";
import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { withExamples } from "../../help.ts";
import { jsonText, print } from "../../output.ts";
import { abortOnSignals } from "../../signals.ts";
import { withStore } from "../../store/open-store.ts";
import { parseDuration, readValue } from "../../values.ts";

interface SetFlags {
  readonly string?: true;
  readonly ttl?: number;
  readonly expiresAt?: string;
  readonly ifVersion?: string;
  readonly ifAbsent?: true;
  readonly record?: true;
}

/** `codespar memory set AGENT KEY VALUE` */
export function addMemorySet(memory: Command): void {
  const command = memory
    .command("set")
    .description("store a value, replacing the entry as a whole")
    .argument("<agent>", "agent id")
    .argument("<key>", "memory key")
    .argument("<value>", "JSON, or text with --string; - reads standard input")
    .option("--string", "VALUE is text, not JSON")
    .option("--ttl <duration>", "expires after, for example 90s, 10m, 12h, 30d", parseDuration)
    .option("--expires-at <instant>", "expires at, for example 2030-01-31T12:00:00Z")
    .option("--if-version <version>", "only when the entry has this version")
    .option("--if-absent", "only when there is no entry")
    .option("--record", "also write an audit entry, in the same transaction")
    .action(setMemory);
  withExamples(
    command,
    `codespar memory set coder greeting '"hello"'`,
    "codespar memory set coder greeting hello --string --ttl 10m",
    "codespar memory set coder plan - < plan.json",
  );
}

async function setMemory(
  agentId: string,
  key: string,
  argument: string,
  flags: SetFlags,
  command: Command,
): Promise<void> {
  const context = contextOf(command);
  const signal = abortOnSignals();
  const value = await readValue(argument, flags.string === true, signal);
  const { ttl, string: _, ...rest } = flags;
  const options: MemorySetOptions = {
    ...rest,
    ...(ttl !== undefined && { ttlMs: ttl }),
    signal,
  };
  const result = await withStore(context, "write", (store) =>
    store.memory.set(agentId, key, value, options),
  );
  if (context.json) return print(jsonText(result));
  const expiry = result.expiresAt === null ? "" : `, expires ${result.expiresAt}`;
  await print(`${result.created ? "created" : "updated"} (version ${result.version}${expiry})`);
}
