import { existsSync } from "node:fs";
import { join } from "node:path";
import type { AuditVerification } from "@codespar/core";
import type { Command } from "commander";
import { type Context, contextOf } from "../../context.ts";
import { exitCodes } from "../../exit-codes.ts";
import { CommandFailure, usage } from "../../failure.ts";
import { withExamples } from "../../help.ts";
import { jsonText, print, shown } from "../../output.ts";
import { type Progress, progressOf } from "../../progress.ts";
import { abortOnSignals } from "../../signals.ts";
import { type NamedStorage, withStore } from "../../store/open-store.ts";
import { parseCount } from "../../values.ts";
import { type AnchorFlags, addTrustedKeyOption, anchorsOf } from "./anchors.ts";

interface VerifyFlags extends AnchorFlags {
  readonly requireAnchor?: true;
  readonly maxUnanchored?: number;
  readonly hashesOnly?: true;
}

/** `codespar audit verify` */
export function addAuditVerify(audit: Command): void {
  const command = audit
    .command("verify")
    .description(
      "check every entry of the trail: bytes, hashes, links, times, searchable copies, details, tree, checkpoints. The status is 7 for a trail that was tampered with, 8 for one of which something is missing, 9 for a bundle that is older than --checkpoint",
    )
    .argument(
      "[source]",
      "a bundle (its folder or tar), a folder of files such as .codespar, or postgres://…; the storage in use by default",
    );
  addTrustedKeyOption(command)
    .option("--checkpoint <file>", "a signed checkpoint that you kept")
    .option(
      "--require-anchor",
      "status 3 unless something outside of the trail vouches for all of it",
    )
    .option(
      "--max-unanchored <n>",
      "the same for all but the last n entries, which may not have been signed yet",
      parseCount,
    )
    .option("--hashes-only", "only bytes, links, tree and signatures: several times as fast")
    .action(verifyAudit);
  withExamples(
    command,
    "codespar audit verify --org acme",
    "codespar audit verify --trusted-key keys.txt --checkpoint 2030-01-31.checkpoint --max-unanchored 1000",
    "codespar audit verify audit-2030.tar --trusted-key codespar/log/…+5f2b8c1a+AT… --require-anchor",
    "codespar audit verify /backup/.codespar --json",
  );
}

async function verifyAudit(
  source: string | undefined,
  flags: VerifyFlags,
  command: Command,
): Promise<void> {
  const context = contextOf(command);
  const where = await sourceOf(source, context);
  const maxUnanchored = flags.maxUnanchored ?? (flags.requireAnchor ? 0 : undefined);
  const input = {
    ...(await anchorsOf(flags)),
    ...(maxUnanchored !== undefined && { maxUnanchored }),
    ...(flags.hashesOnly && { depth: "hashes" as const }),
    signal: abortOnSignals(),
  };
  const progress = await progressOf("verifying");
  const options = { ...input, onProgress: reporting(progress) };
  const result = await ("bundle" in where
    ? import("@codespar/core").then(({ verifyBundle }) => verifyBundle(where.bundle, options))
    : withStore(context, "read", (store) => store.audit.verify(options), where.storage)
  ).finally(() => progress.stop());
  const { defaultOrgId } = await import("@codespar/core");
  await print(context.json ? jsonText(result) : summary(result, context.org ?? defaultOrgId));
  conclude(result, maxUnanchored);
}

type Source = { readonly bundle: string } | { readonly storage: NamedStorage | undefined };

async function sourceOf(source: string | undefined, { org }: Context): Promise<Source> {
  if (source === undefined) return { storage: undefined };
  if (/^postgres(ql)?:/.test(source)) return { storage: { databaseUrl: source } };
  const [, named] = /^file:(?:\/\/(?=\/))?(.+)$/.exec(source) ?? [];
  if (named !== undefined || existsSync(join(source, "orgs")))
    return { storage: { directory: named ?? source } };
  if (org !== undefined) throw usage("--org is not for a bundle, which is of one organisation.");
  return { bundle: source };
}

function reporting(progress: Progress) {
  return ({ checked, size }: { checked: number; size: number }) => progress.update(checked, size);
}

/** Ends the command with the status that the verdict has. */
function conclude(result: AuditVerification, maxUnanchored: number | undefined): void {
  const { verdict, firstFailure, warnings } = result;
  if (verdict === "tampered")
    throw new CommandFailure(
      exitCodes.integrity,
      `The trail was tampered with: ${firstFailure?.message}. Compare it with a backup or an export.`,
    );
  if (verdict === "incomplete")
    throw new CommandFailure(exitCodes.incomplete, `Not all could be verified. ${warnings[0]}`);
  if (verdict === "outdated")
    throw new CommandFailure(
      exitCodes.outdated,
      "The checkpoint that you kept is newer than what was verified, in which nothing is wrong: the two can't be compared. Export the trail anew, or give an earlier checkpoint.",
    );
  if (verdict === "unanchored" && maxUnanchored !== undefined)
    throw new CommandFailure(exitCodes.unanchored, unanchoredText(result, maxUnanchored));
}

function unanchoredText({ size, anchoredSize }: AuditVerification, maxUnanchored: number): string {
  if (anchoredSize === 0)
    return "Nothing outside of the trail vouches for it. Give a key or a checkpoint that you got from somewhere else: --trusted-key, --checkpoint.";
  return `Nothing outside of the trail vouches for ${size - anchoredSize} entries at its end, from entry ${anchoredSize} on; ${maxUnanchored} may be without. Give every key that you trust, or a newer checkpoint; see whether checkpoints are still signed; or allow more: --max-unanchored.`;
}

function summary(result: AuditVerification, org: string): string {
  const { size, head, root, checks, redacted, warnings } = result;
  const passed = Object.entries(checks).map(([name, count]) => `${name} ${count}`);
  return [
    `verdict: ${result.verdict}${verdictNote(result, org)}`,
    `entries: ${size}`,
    `head:    ${head}`,
    `root:    ${root}`,
    `passed:  ${passed.join(", ")}`,
    ...(redacted > 0 ? [`erased:  ${redacted}`] : []),
    ...warnings.map((warning) => `note:    ${shown(warning)}`),
  ].join("\n");
}

/** A mistyped organisation has an empty trail, of which nothing is to be said but that. */
function verdictNote({ verdict, size, anchoredSize }: AuditVerification, org: string): string {
  if (verdict === "ok") return ` (vouched for: ${anchoredSize} of ${size} entries)`;
  if (verdict !== "unanchored") return "";
  if (anchoredSize > 0) return ` (vouched for: only ${anchoredSize} of ${size} entries)`;
  return size === 0
    ? ` (organisation ${shown(org)} has no entries in this storage: nothing to check)`
    : " (the chain is intact; no outside anchor to compare with)";
}
