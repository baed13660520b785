import * as fs from "node:fs";

/** Files are readable by their owner only. */
export const fileMode = 0o600;
/** So are folders. */
export const folderMode = 0o700;

/**
 * All that FileStorage asks of a file system. It is small and injected, so that tests can let each call fail and can replay
 * what a crash would have left. Every method rejects with Node's own errors (`code`: `ENOENT`, `ENOSPC`, …).
 */
export interface FileSystem {
  /** Creates a folder and its parents, mode 0700. An existing one is fine. */
  makeFolder(path: string): Promise<void>;
  /** Names of the entries of a folder. */
  list(path: string): Promise<string[]>;
  /** Names of the folders in a folder. A link is one whatever it leads to: where that is gone, something is missing. */
  listFolders(path: string): Promise<string[]>;
  /** A small file's content as a whole. */
  read(path: string): Promise<Buffer>;
  /** `read` fails when there is no file; `create` fails when there is one; `edit` makes it when there is none. */
  open(path: string, mode: OpenMode): Promise<OpenFile>;
  /** Size in bytes and time of the last change, in milliseconds since the epoch. */
  stat(path: string): Promise<FileStat>;
  /** Replaces `to`. Durable after {@link FileSystem.syncFolder}. */
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Removes a folder with all that is in it. */
  removeFolder(path: string): Promise<void>;
  /** Makes created, renamed and removed entries of a folder durable. */
  syncFolder(path: string): Promise<void>;
  /** Sets the time of the last change. */
  touch(path: string, atMs: number): Promise<void>;
  /** For the `exit` event, where nothing asynchronous runs any more. */
  readSync(path: string): Buffer;
  /** For the `exit` event. */
  removeSync(path: string): void;
}

export type OpenMode = "read" | "create" | "edit";

export interface FileStat {
  readonly size: number;
  readonly changedAtMs: number;
}

/** An open file. */
export interface OpenFile {
  /** Writes all of `bytes` at `position`. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Reads up to `length` bytes at `position`; fewer only at the end of the file. */
  read(position: number, length: number): Promise<Buffer>;
  /** `fdatasync`: content and size reach the disk. */
  sync(): Promise<void>;
  truncate(size: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

const flags: Record<OpenMode, number> = {
  read: fs.constants.O_RDONLY,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
  edit: fs.constants.O_RDWR | fs.constants.O_CREAT,
};

/** The file system of this machine. */
export const nodeFileSystem: FileSystem = {
  makeFolder: async (path) => {
    await fs.promises.mkdir(path, { recursive: true, mode: folderMode });
  },
  list: (path) => fs.promises.readdir(path),
  listFolders: async (path) => {
    const entries = await fs.promises.readdir(path, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
      .map(({ name }) => name);
  },
  read: (path) => fs.promises.readFile(path),
  open: (path, mode) =>
    new Promise((resolve, reject) => {
      fs.open(path, flags[mode], fileMode, (error, fd) =>
        error === null ? resolve(new NodeFile(fd)) : reject(error),
      );
    }),
  stat: async (path) => {
    const stat = await fs.promises.stat(path);
    return { size: stat.size, changedAtMs: stat.mtimeMs };
  },
  rename: (from, to) => fs.promises.rename(from, to),
  remove: (path) => fs.promises.unlink(path),
  removeFolder: (path) => fs.promises.rm(path, { recursive: true }),
  syncFolder: async (path) => {
    const folder = await fs.promises.open(path, "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  },
  touch: (path, atMs) => fs.promises.utimes(path, atMs / 1000, atMs / 1000),
  readSync: (path) => fs.readFileSync(path),
  removeSync: (path) => fs.unlinkSync(path),
};

/** A file descriptor. Callbacks instead of a `FileHandle`: they cost less, and the journal makes two calls per commit. */
class NodeFile implements OpenFile {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      done += await this.#writeSome(bytes, done, position + done);
    }
  }

  async read(position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(length);
    let done = 0;
    while (done < length) {
      const count = await this.#readSome(buffer, done, position + done);
      if (count === 0) break;
      done += count;
    }
    return done === length ? buffer : buffer.subarray(0, done);
  }

  sync(): Promise<void> {
    return call((done) => fs.fdatasync(this.#fd, done));
  }

  truncate(size: number): Promise<void> {
    return call((done) => fs.ftruncate(this.#fd, size, done));
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.fstat(this.#fd, (error, stat) => (error === null ? resolve(stat.size) : reject(error)));
    });
  }

  close(): Promise<void> {
    return call((done) => fs.close(this.#fd, done));
  }

  #writeSome(bytes: Uint8Array, offset: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.write(this.#fd, bytes, offset, bytes.length - offset, position, (error, count) =>
        error === null ? resolve(count) : reject(error),
      );
    });
  }

  #readSome(buffer: Buffer, offset: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.read(this.#fd, buffer, offset, buffer.length - offset, position, (error, count) =>
        error === null ? resolve(count) : reject(error),
      );
    });
  }
}

function call(start: (done: (error: NodeJS.ErrnoException | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error === null || error === undefined ? resolve() : reject(error)));
  });
}
