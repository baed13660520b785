import type { AuditKey } from "@codespar/core";
import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { withExamples } from "../../help.ts";
import { columns, jsonText, note, print } from "../../output.ts";
import { abortOnSignals } from "../../signals.ts";
import { withStore } from "../../store/open-store.ts";

/** `codespar audit keys` */
export function addAuditKeys(audit: Command): void {
  const keys = audit
    .command("keys")
    .description("the public keys that sign the trail's checkpoints, and their rotation");
  const list = keys
    .command("list", { isDefault: true })
    .description(
      "list the keys, newest first. Whoever verifies needs them from somewhere else than the trail: audit verify --trusted-key",
    )
    .action(listKeys);
  withExamples(list, "codespar audit keys list", "codespar audit keys --json | jq -r '.[].vkey'");
  const rotate = keys
    .command("rotate")
    .description(
      "put a new signing key in the place of the present one, whose private part is destroyed. Both sign the next checkpoint",
    )
    .action(rotateKey);
  withExamples(rotate, "codespar audit keys rotate --org acme");
}

async function listKeys(_flags: object, command: Command): Promise<void> {
  const context = contextOf(command);
  const signal = abortOnSignals();
  const keys = await withStore(context, "read", (store) => store.audit.keys({ signal }));
  if (context.json) return print(jsonText(keys));
  if (keys.length === 0)
    return note(
      "There are none yet: the first checkpoint makes one. Sign it: codespar audit checkpoint",
    );
  await print(columns([["CREATED", "RETIRED", "VKEY"], ...keys.map(cells)]).join("\n"));
}

async function rotateKey(_flags: object, command: Command): Promise<void> {
  const context = contextOf(command);
  const signal = abortOnSignals();
  const key = await withStore(context, "write", (store) => store.audit.rotateKey({ signal }));
  await print(context.json ? jsonText(key) : key.vkey);
}

function cells({ createdAt, retiredAt, vkey }: AuditKey): string[] {
  return [createdAt, retiredAt ?? "no", vkey];
}
