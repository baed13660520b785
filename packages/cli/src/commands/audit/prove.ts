import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { usage } from "../../failure.ts";
import { withExamples } from "../../help.ts";
import { newFile } from "../../new-file.ts";
import { jsonText, print, shown, write } from "../../output.ts";
import { abortOnSignals } from "../../signals.ts";
import { withStore } from "../../store/open-store.ts";
import { parseCount } from "../../values.ts";
import { type AnchorFlags, addTrustedKeyOption, textOf, trustedKeysOf } from "./anchors.ts";
import { entryText } from "./show.ts";

interface ProveFlags extends AnchorFlags {
  readonly size?: number;
  readonly output?: string;
  readonly verify?: string;
}

/** `codespar audit prove SEQ` */
export function addAuditProve(audit: Command): void {
  const command = audit
    .command("prove")
    .description(
      "print a receipt: a proof that an entry is in the trail, for anybody to check offline. Or check one, with --verify",
    )
    .argument("[seq]", "the entry's number", parseCount)
    .option(
      "--size <n>",
      "prove it against the checkpoint over so many entries (default: the newest)",
      parseCount,
    )
    .option("--output <file>", "write it to a new file instead")
    .option(
      "--verify <file>",
      "check this receipt instead, by --trusted-key; needs neither storage nor network",
    );
  addTrustedKeyOption(command).action(prove);
  withExamples(
    command,
    "codespar audit prove 42 --output 42.tlog-proof",
    "codespar audit prove --verify 42.tlog-proof --trusted-key keys.txt",
  );
}

async function prove(seq: number | undefined, flags: ProveFlags, command: Command): Promise<void> {
  const { json } = contextOf(command);
  if (flags.verify !== undefined) return checkReceipt(flags.verify, seq, flags, json);
  if (seq === undefined) throw usage("Which entry? Name its number, or a receipt with --verify.");
  if (flags.trustedKey !== undefined)
    throw usage("--trusted-key is for checking a receipt: add --verify FILE.");
  return makeReceipt(seq, flags, command);
}

async function makeReceipt(seq: number, flags: ProveFlags, command: Command): Promise<void> {
  const context = contextOf(command);
  const signal = abortOnSignals();
  const file = flags.output === undefined ? undefined : await newFile(flags.output);
  const proof = await withStore(context, "write", (store) =>
    store.audit.prove(seq, { ...(flags.size !== undefined && { size: flags.size }), signal }),
  ).catch(async (error: unknown) => {
    await file?.discard();
    throw error;
  });
  await file?.write(proof.receipt);
  if (context.json) return print(jsonText(proof));
  if (file === undefined) return write(proof.receipt);
  const { size } = proof.checkpoint;
  await print(`proven: entry ${seq} is one of the ${size} of the checkpoint: ${flags.output}`);
}

async function checkReceipt(
  path: string,
  seq: number | undefined,
  flags: ProveFlags,
  json: boolean,
): Promise<void> {
  const trustedKeys = await trustedKeysOf(flags);
  if (trustedKeys.length === 0)
    throw usage(
      "A receipt is worth as much as the key that you trust: name one, got from somewhere else than the receipt, with --trusted-key.",
    );
  const { StorageError, verifyReceipt } = await import("@codespar/core");
  const result = verifyReceipt(await textOf(path, "--verify"), { trustedKeys });
  if (seq !== undefined && seq !== result.seq)
    throw new StorageError(
      "CORRUPTION",
      `The receipt is of entry ${result.seq}, not of ${seq}. Ask for another one.`,
    );
  if (json) return print(jsonText(result));
  const { log, size, entry } = result;
  const lines = [
    `proven: entry ${result.seq} is one of the first ${size} of the trail ${shown(log)}`,
  ];
  await print([...lines, ...(entry === null ? [] : [entryText(entry)])].join("\n"));
}
