import type { RotationReport, SecretsStatus } from "@codespar/core";
import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { withExamples } from "../../help.ts";
import { jsonText, note, print } from "../../output.ts";
import { progressOf } from "../../progress.ts";
import { abortOnSignals } from "../../signals.ts";
import { withDeployment } from "../../store/open-store.ts";
import { isUnfinished } from "./unfinished.ts";

/** `codespar secrets rotate` */
export function addSecretsRotate(secrets: Command): void {
  const command = secrets
    .command("rotate")
    .description(
      "seal everything that earlier keys have sealed under the first key of CODESPAR_ENCRYPTION_KEY, beside running servers. Broken off, it goes on when it is run again; with nothing to do it changes nothing",
    )
    .option(
      "--new-key",
      "begin with a new key where it is kept beside the files, not in CODESPAR_ENCRYPTION_KEY. A rotation that was broken off is gone on with instead",
    )
    .action(rotate);
  withExamples(
    command,
    "codespar secrets rotate",
    "codespar secrets rotate --new-key",
    "CODESPAR_ENCRYPTION_KEY=NEW,OLD codespar secrets rotate",
  );
}

async function rotate(
  { newKey = false }: { readonly newKey?: boolean },
  command: Command,
): Promise<void> {
  const context = contextOf(command);
  const signal = abortOnSignals();
  const progress = await progressOf("sealing records anew");
  const { report, idle, status } = await withDeployment(context, "write", async ({ secrets }) => {
    const onProgress = ({ done, total }: { done: number; total: number }) =>
      progress.update(done, total);
    const before = await secrets.status();
    const rotated = await secrets
      .rotate({ newKey, signal, onProgress })
      .finally(() => progress.stop());
    const idle = !newKey && before.activeKey !== null && !isUnfinished(before);
    return { report: rotated, idle, status: await secrets.status() };
  });
  if (context.json) return print(jsonText(report));
  await print(idle ? nothingToRotate(status) : summary(report));
  const next = nextStep(status, idle);
  if (next !== null) note(next);
}

function summary({ activeKey, resealed, remaining }: RotationReport): string {
  if (activeKey === null) return "no secret was stored yet: there is nothing to seal anew";
  return `${resealed} records sealed anew under the key ${activeKey}; ${remaining} records are left on earlier keys`;
}

function nothingToRotate({ source }: SecretsStatus): string {
  const nothing = "0 records on the old key; nothing to rotate";
  return source === "folder" ? `${nothing}. --new-key makes a new key` : nothing;
}

function nextStep({ activeKey, source, keys }: SecretsStatus, idle: boolean): string | null {
  if (activeKey === null || (source === "folder" && idle)) return null;
  if (source === "folder")
    return "The key in keys/encryption.key is a new one: keep a copy of it. Backups and archives made until now need the earlier one, kept in keys/retired-ID.key: delete that once they are gone.";
  return keys.length > 1
    ? "The earlier keys can go from CODESPAR_ENCRYPTION_KEY now, on every server. Backups made until now need them."
    : "There is only one key. To begin with a new one, put it first: CODESPAR_ENCRYPTION_KEY=NEW,OLD";
}
