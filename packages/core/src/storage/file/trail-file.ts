import { StorageError } from "../../errors/storage-error.ts";
import { ByteReader } from "./byte-reader.ts";
import { corruption, isMissing } from "./failures.ts";
import type { FileSystem, OpenFile } from "./file-system.ts";

/**
 * One of the trail's files: it only grows, and is written behind the journal, which holds what it doesn't hold durably yet. Opened at its
 * first use.
 */
export class TrailFile {
  readonly path: string;
  readonly #fs: FileSystem;
  readonly #folder: string;
  readonly #writable: boolean;
  #file: Promise<OpenFile> | null = null;
  /** Whether its entry in the folder is durable. */
  #listed = false;
  #unsynced = false;

  constructor(fs: FileSystem, folder: string, name: string, writable: boolean) {
    this.#fs = fs;
    this.#folder = folder;
    this.#writable = writable;
    this.path = `${folder}/${name}`;
  }

  /**
   * Compares the file with what the snapshot vouches for, and cuts off what is behind it: the journal has that too.
   *
   * @param lines - whether what it vouches for ends with a line
   * @throws StorageError `CORRUPTION` when less is there, or the line doesn't end there
   */
  async recover(bytes: number, lines: boolean): Promise<void> {
    const size = await sizeOf(this.#fs, this.path);
    if (size < bytes) {
      throw corruption(this.path, size, `${bytes - size} bytes of the audit trail are gone`);
    }
    this.#listed = bytes > 0;
    if (size === bytes || !this.#writable) return;
    const file = await this.#fs.open(this.path, "edit");
    try {
      // Were a line edited to be longer, the last one would be cut in two.
      if (lines && bytes > 0 && (await file.read(bytes - 1, 1)).toString() !== "\n")
        throw corruption(
          this.path,
          bytes - 1,
          "no line ends where the snapshot says that one does",
        );
      await file.truncate(bytes);
    } finally {
      await file.close();
    }
  }

  /** How long the file is; 0 when there is none. */
  size(): Promise<number> {
    return sizeOf(this.#fs, this.path);
  }

  /**
   * @param asIs - whether a file that ends before `end` is read as far as it goes
   * @throws StorageError `CORRUPTION` when it ends before
   */
  async read(start: number, end: number, asIs = false): Promise<Buffer> {
    if (end <= start) return Buffer.alloc(0);
    const file = await this.#open().catch((error: unknown) => {
      if (asIs && isMissing(error)) return null;
      throw error;
    });
    const bytes = (await file?.read(start, end - start)) ?? Buffer.alloc(0);
    if (asIs || bytes.length === end - start) return bytes;
    throw corruption(this.path, start + bytes.length, "the audit trail was cut");
  }

  /** For what stands before `end`, from front to back. */
  async reader(end: number): Promise<ByteReader> {
    return new ByteReader(await this.#open(), end);
  }

  /** Not durable before {@link TrailFile.sync}; once it failed it can be repeated. */
  async write(bytes: Uint8Array, position: number): Promise<void> {
    const file = await this.#open();
    if (!this.#listed) await this.#fs.syncFolder(this.#folder);
    this.#listed = true;
    this.#unsynced = true;
    await file.write(bytes, position);
  }

  /** Makes what was written durable, not while something is being written. Once it failed it can't be repeated: the files must be reopened. */
  async sync(): Promise<void> {
    if (!this.#unsynced) return;
    await (await this.#open()).sync();
    this.#unsynced = false;
  }

  async close(): Promise<void> {
    const file = await this.#file?.catch(() => null);
    this.#file = Promise.reject(new StorageError("UNAVAILABLE", "The files were closed."));
    this.#file.catch(() => undefined);
    await file?.close();
  }

  #open(): Promise<OpenFile> {
    this.#file ??= this.#fs
      .open(this.path, this.#writable ? "edit" : "read")
      .catch((error: unknown) => {
        this.#file = null;
        throw error;
      });
    return this.#file;
  }
}

/** A file's size; 0 when there is none. */
async function sizeOf(fs: FileSystem, path: string): Promise<number> {
  try {
    return (await fs.stat(path)).size;
  } catch (error) {
    if (isMissing(error)) return 0;
    throw error;
  }
}
