import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { processListing } from "@codespar/tooling/secrets";
import { type Finding, search } from "./search.ts";
import type { Token } from "./tokens.ts";

/** Where something can be written. The canary has to be found in each. */
export const kinds = [
  "output of processes",
  "answers of the server",
  "files",
  "process listing",
] as const;
export const databaseKinds = ["dump", "files of the database", "statements at work"] as const;
export type Kind = (typeof kinds)[number] | (typeof databaseKinds)[number];

interface Piece {
  readonly kind: Kind;
  readonly where: string;
  readonly bytes: Buffer;
}

/** All that was written, so that it can be searched. */
export class Written {
  readonly #pieces: Piece[] = [];

  /** @param handedOut - what this place exists to hand out: the text of these tokens is no finding here, any other form of them is */
  add(kind: Kind, where: string, content: Buffer | string, handedOut: readonly Token[] = []): void {
    let bytes: Buffer = Buffer.from(content as string);
    for (const { text } of handedOut)
      for (const form of [text, JSON.stringify(text).slice(1, -1)]) bytes = without(bytes, form);
    this.#pieces.push({ kind, where, bytes });
  }

  /** @param handedOut - the tokens that a file exists to keep, by its path in the folder */
  async addFolder(
    kind: Kind,
    folder: string,
    handedOut: Readonly<Record<string, readonly Token[]>> = {},
  ): Promise<void> {
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      const name = path.slice(folder.length + 1);
      this.add(kind, `the name of ${name}`, name);
      // Sockets and what a running database has just removed have nothing to read.
      const bytes = entry.isFile() ? await readFile(path).catch(gone) : null;
      if (bytes !== null) this.add(kind, name, bytes, handedOut[name]);
    }
  }

  /** What anybody on the machine sees of its processes. Their environment is seen by their own user only. */
  async addProcesses(): Promise<void> {
    this.add("process listing", "process listing", await processListing());
  }

  findings(tokens: readonly Token[]): Finding[] {
    return search(this.#pieces, tokens);
  }

  /** The kinds of places in which a token is. */
  kindsWith(token: Token): Kind[] {
    const found = this.#pieces.filter((piece) => search([piece], [token]).length > 0);
    return [...new Set(found.map(({ kind }) => kind))].sort();
  }
}

function without(bytes: Buffer, text: string): Buffer {
  return Buffer.from(
    bytes.toString("latin1").replaceAll(Buffer.from(text).toString("latin1"), ""),
    "latin1",
  );
}

/** A file that was removed meanwhile. */
function gone(error: NodeJS.ErrnoException): null {
  if (error.code === "ENOENT") return null;
  throw error;
}
