import { CommanderError } from "commander";
import { type ExitCode, exitCodeOf, exitCodes } from "./exit-codes.ts";

/** Ends a command with a status of its choice and one line that says what to do. */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure";
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** Shorthand for what a wrong command line gets. */
export function usage(message: string): CommandFailure {
  return new CommandFailure(exitCodes.usage, message);
}

interface Outcome {
  readonly exitCode: ExitCode;
  /** `null` when all is said already. */
  readonly line: string | null;
}

/** How a command that threw ends: its status, and its line without line breaks. */
export async function outcomeOf(error: unknown): Promise<Outcome> {
  if (error instanceof CommandFailure)
    return { exitCode: error.exitCode, line: await oneLine(error.message) };
  if (error instanceof CommanderError) return ofCommander(error);
  const { StorageError } = await import("@codespar/core");
  if (StorageError.is(error)) {
    return {
      exitCode: exitCodeOf[error.code],
      line: `${await oneLine(error.message)} [${error.code}]`,
    };
  }
  if (error instanceof Error && error.name === "AbortError") {
    return { exitCode: exitCodes.interrupted, line: "Interrupted; nothing was written." };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { exitCode: exitCodes.failure, line: await oneLine(message) };
}

async function ofCommander(error: CommanderError): Promise<Outcome> {
  // `--help` and `--version` also end by a throw; help shown for want of a command is a usage error.
  if (error.exitCode === 0) return { exitCode: exitCodes.ok, line: null };
  if (error.code === "commander.help") return { exitCode: exitCodes.usage, line: null };
  const message = await oneLine(error.message.replace(/^error: /, ""));
  return { exitCode: exitCodes.usage, line: `${message} Add --help to see how it is used.` };
}

/** Without the secrets that people type where something else belongs: an API key, the name and password of an address. */
async function oneLine(text: string): Promise<string> {
  // Hardly ever there, so hardly ever worth loading the library for.
  const told = text.includes("csk_") ? (await import("@codespar/core")).withoutApiKeys(text) : text;
  const line = told
    .replace(/\/\/[^\s/]*@/g, "//[secret]@")
    .replace(/\s*\n\s*/g, " ")
    .trim();
  return /[.!?)]$/.test(line) ? line : `${line}.`;
}
