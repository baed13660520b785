import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { FileSystem, OpenFile } from "../../src/storage/file/file-system.ts";

const error = (code: string, path: string) =>
  Object.assign(new Error(`${code}: ${path}`), { code });

/** Files in memory, to open thousands of crash states with. */
export class MemoryFileSystem implements FileSystem {
  readonly files: Map<string, Buffer>;
  readonly folders: Set<string>;

  constructor(files: ReadonlyMap<string, Buffer> = new Map(), folders: Iterable<string> = []) {
    this.files = new Map(files);
    this.folders = new Set(["/", ...folders]);
  }

  async makeFolder(path: string): Promise<void> {
    for (let folder = path; !this.folders.has(folder) && folder !== "/"; folder = dirname(folder)) {
      this.folders.add(folder);
    }
  }

  async list(path: string): Promise<string[]> {
    if (!this.folders.has(path)) throw error("ENOENT", path);
    return [...this.files.keys(), ...this.folders]
      .filter((entry) => dirname(entry) === path)
      .map((entry) => entry.slice(path.length + 1));
  }

  async listFolders(path: string): Promise<string[]> {
    const entries = await this.list(path);
    return entries.filter((entry) => this.folders.has(`${path}/${entry}`));
  }

  async read(path: string): Promise<Buffer> {
    return this.readSync(path);
  }

  async open(path: string, mode: "read" | "create" | "edit"): Promise<OpenFile> {
    if (mode === "create" && this.files.has(path)) throw error("EEXIST", path);
    if (mode === "read" || this.files.has(path)) this.#content(path);
    else if (!this.folders.has(dirname(path))) throw error("ENOENT", path);
    else this.files.set(path, Buffer.alloc(0));
    // A renamed or removed file stays what its descriptor shows: here by path, which no caller of this port relies on.
    return {
      write: async (bytes, position) => {
        this.files.set(path, overwrite(this.#content(path), Buffer.from(bytes), position));
      },
      read: async (position, length) =>
        Buffer.from(this.#content(path).subarray(position, position + length)),
      sync: async () => undefined,
      truncate: async (size) => {
        this.files.set(
          path,
          Buffer.concat([this.#content(path), Buffer.alloc(size)]).subarray(0, size),
        );
      },
      size: async () => this.#content(path).length,
      close: async () => undefined,
    };
  }

  async stat(path: string): Promise<{ size: number; changedAtMs: number }> {
    if (this.folders.has(path)) return { size: 0, changedAtMs: 0 };
    return { size: this.#content(path).length, changedAtMs: 0 };
  }

  async rename(from: string, to: string): Promise<void> {
    this.files.set(to, this.#content(from));
    this.files.delete(from);
  }

  async remove(path: string): Promise<void> {
    this.removeSync(path);
  }

  async removeFolder(path: string): Promise<void> {
    if (!this.folders.has(path)) throw error("ENOENT", path);
    const within = (entry: string) => entry === path || entry.startsWith(`${path}/`);
    for (const entry of [...this.files.keys()].filter(within)) this.files.delete(entry);
    for (const entry of [...this.folders].filter(within)) this.folders.delete(entry);
  }

  async syncFolder(path: string): Promise<void> {
    if (!this.folders.has(path)) throw error("ENOENT", path);
  }

  async touch(): Promise<void> {
    await Promise.resolve();
  }

  readSync(path: string): Buffer {
    return Buffer.from(this.#content(path));
  }

  removeSync(path: string): void {
    this.#content(path);
    this.files.delete(path);
  }

  #content(path: string): Buffer {
    const content = this.files.get(path);
    if (content === undefined) throw error("ENOENT", path);
    return content;
  }
}

/** `content` with `bytes` written at `position`. */
export function overwrite(content: Buffer, bytes: Buffer, position: number): Buffer {
  const result = Buffer.alloc(Math.max(content.length, position + bytes.length));
  content.copy(result);
  bytes.copy(result, position);
  return result;
}

/** A folder of this machine with all that is below it. */
export async function loaded(directory: string): Promise<MemoryFileSystem> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const fs = new MemoryFileSystem(new Map(), [directory]);
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) fs.folders.add(path);
    else fs.files.set(path, await readFile(path));
  }
  return fs;
}
