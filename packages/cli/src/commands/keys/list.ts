import type { ApiKey } from "@codespar/core";
import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { withExamples } from "../../help.ts";
import { addPagingOptions, type PagingFlags, printPages } from "../../listing.ts";
import { shown } from "../../output.ts";
import { abortOnSignals } from "../../signals.ts";
import { withStore } from "../../store/open-store.ts";

/** `codespar keys list` */
export function addKeysList(keys: Command): void {
  const command = keys
    .command("list")
    .description("list API keys, expired and revoked ones included; never their tokens")
    .action(listKeys);
  addPagingOptions(command);
  withExamples(command, "codespar keys list", "codespar keys list --org acme --json");
}

async function listKeys(flags: PagingFlags, command: Command): Promise<void> {
  const context = contextOf(command);
  const signal = abortOnSignals();
  const { all, ...query } = flags;
  await withStore(context, "read", (store) =>
    printPages(
      { all: all === true, json: context.json, cursor: flags.cursor },
      (cursor) => store.apiKeys.list({ ...query, signal, ...(cursor && { cursor }) }),
      ["ID", "NAME", "SCOPES", "CREATED", "LAST USED", "ENDS"],
      cells,
    ),
  );
}

function cells({
  id,
  name,
  scopes,
  createdAt,
  lastUsedAt,
  expiresAt,
  revokedAt,
}: ApiKey): string[] {
  const end = revokedAt === null ? (expiresAt ?? "never") : `revoked ${revokedAt}`;
  return [id, shown(name), scopes.join(","), createdAt, lastUsedAt ?? "never", end];
}
