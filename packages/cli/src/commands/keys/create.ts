import type { ApiKeyScope } from "@codespar/core";
import { type Command, InvalidArgumentError } from "commander";
import { contextOf } from "../../context.ts";
import { withExamples } from "../../help.ts";
import { abortOnSignals } from "../../signals.ts";
import { withStore } from "../../store/open-store.ts";
import { type ExpiryFlags, expiryOf, withExpiry } from "./expiry.ts";
import { printIssued } from "./issued.ts";

interface CreateFlags extends ExpiryFlags {
  readonly scopes: readonly ApiKeyScope[];
}

/** The library's own list would have to be loaded for every help. */
const known: Readonly<Record<ApiKeyScope, true>> = {
  read: true,
  write: true,
  "audit:read": true,
  secrets: true,
  admin: true,
};

/** `codespar keys create NAME` */
export function addKeysCreate(keys: Command): void {
  const command = keys
    .command("create")
    .description("make an API key and print its token, which is shown only now")
    .argument("<name>", "for people, to tell keys apart")
    .option(
      "--scopes <list>",
      `what it may do: ${Object.keys(known).join(", ")}, with commas between`,
      parseScopes,
      ["read", "write"] satisfies ApiKeyScope[],
    )
    .action(createKey);
  withExpiry(command, "never by default");
  withExamples(
    command,
    "codespar keys create ci",
    "codespar keys create auditor --scopes audit:read --expires-in 90d",
    "export CODESPAR_API_KEY=$(codespar keys create laptop)",
  );
}

function parseScopes(list: string): ApiKeyScope[] {
  const scopes = list.split(",").map((scope) => scope.trim());
  const unknown = scopes.find((scope) => !Object.hasOwn(known, scope));
  if (unknown === undefined) return scopes as ApiKeyScope[];
  throw new InvalidArgumentError(`There are ${Object.keys(known).join(", ")}.`);
}

async function createKey(name: string, flags: CreateFlags, command: Command): Promise<void> {
  const context = contextOf(command);
  const signal = abortOnSignals();
  const input = { name, scopes: flags.scopes, ...expiryOf(flags) };
  const issued = await withStore(context, "write", (store) =>
    store.apiKeys.create(input, { signal }),
  );
  await printIssued(issued, context.json);
}
