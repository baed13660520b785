import { once } from "node:events";
import { open, rm } from "node:fs/promises";
import { exitCodes } from "./exit-codes.ts";
import { CommandFailure } from "./failure.ts";

/** A file that a command makes. */
export interface NewFile {
  /** Writes it and closes it; what can't be written whole is removed. */
  write(content: string | AsyncIterable<Uint8Array>): Promise<void>;
  /** Removes it. */
  discard(): Promise<void>;
}

/** Makes a file that only this user can read. One that is there is never overwritten: it may be the evidence. */
export async function newFile(path: string): Promise<NewFile> {
  const file = await open(path, "wx", 0o600).catch((cause: unknown) => {
    throw unwritable(path, cause);
  });
  async function discard(): Promise<void> {
    await file.close();
    await rm(path, { force: true });
  }
  return {
    discard,
    async write(content) {
      try {
        const chunks = typeof content === "string" ? [content] : content;
        for await (const chunk of chunks)
          await file.appendFile(chunk).catch((cause: unknown) => {
            throw unwritable(path, cause);
          });
      } catch (error) {
        await discard();
        throw error;
      }
      await file.close();
    },
  };
}

/** Bytes on standard output; waits while the reader is slower than we are. */
export async function writeBytes(content: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of content) {
    if (!process.stdout.write(chunk)) await once(process.stdout, "drain");
  }
}

/** What a path that can't be written means to the user. */
export function unwritable(path: string, cause: unknown): CommandFailure {
  if ((cause as NodeJS.ErrnoException).code === "EEXIST") return taken(path);
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new CommandFailure(exitCodes.failure, `${path} can't be written (${detail}).`, { cause });
}

/** Refuses to overwrite. */
export function taken(path: string): CommandFailure {
  return new CommandFailure(
    exitCodes.refused,
    `${path} exists already. Name one that isn't there yet.`,
  );
}
