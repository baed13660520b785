import { readFile } from "node:fs/promises";
import type { AuditVerifyInput } from "@codespar/core";
import type { Command } from "commander";
import { usage } from "../../failure.ts";

/** What the user has from somewhere else than the trail. */
export interface AnchorFlags {
  readonly trustedKey?: readonly string[];
  readonly checkpoint?: string;
}

/** Adds the option by which the user names a key. */
export function addTrustedKeyOption(command: Command): Command {
  return command.option(
    "--trusted-key <vkey>",
    "a public key got from somewhere else, or a file with one on each line; repeatable",
    (value: string, earlier: readonly string[] = []) => [...earlier, value],
  );
}

const vkey = /^[^+\s]+\+[0-9a-f]{8}\+\S+$/;

/** The keys that were named: on the command line, or in files where lines that begin with # are comments. */
export async function trustedKeysOf({ trustedKey = [] }: AnchorFlags): Promise<string[]> {
  const named = await Promise.all(
    trustedKey.map(async (value) => (vkey.test(value) ? [value] : keysIn(value))),
  );
  return named.flat();
}

/** What a verification is held against. */
export async function anchorsOf(flags: AnchorFlags): Promise<AuditVerifyInput> {
  const trustedKeys = await trustedKeysOf(flags);
  return {
    ...(trustedKeys.length > 0 && { trustedKeys }),
    ...(flags.checkpoint !== undefined && {
      checkpoint: await textOf(flags.checkpoint, "--checkpoint"),
    }),
  };
}

async function keysIn(path: string): Promise<string[]> {
  const lines = (await textOf(path, "--trusted-key")).split("\n").map((line) => line.trim());
  const keys = lines.filter((line) => line !== "" && !line.startsWith("#"));
  const wrong = keys.find((line) => !vkey.test(line));
  if (keys.length === 0 || wrong !== undefined)
    throw usage(
      `${path} holds ${wrong === undefined ? "no key" : "a line that is no key"}: name+id+base64, one on each line.`,
    );
  return keys;
}

/** A file that the user named. */
export async function textOf(path: string, option: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw usage(`${option} must name a file that can be read (${detail}).`);
  }
}
