import { dirname } from "node:path";
import {
  type FileSystem,
  nodeFileSystem,
  type OpenFile,
} from "../../src/storage/file/file-system.ts";

/** One call that changes something, with all that is needed to do it again. */
export type Change =
  | { readonly kind: "create"; readonly path: string }
  | {
      readonly kind: "write";
      readonly path: string;
      readonly position: number;
      readonly bytes: Buffer;
    }
  | { readonly kind: "truncate"; readonly path: string; readonly size: number }
  | Sync
  | { readonly kind: "rename"; readonly path: string; readonly to: string }
  | { readonly kind: "remove"; readonly path: string }
  | { readonly kind: "folder"; readonly path: string };

/** A sync of a file or of a folder's entries. It vouches for what had ended when it began, and for nothing that came meanwhile. */
type Sync =
  | { readonly kind: "sync begins"; readonly of: "file" | "folder"; readonly path: string }
  | { readonly kind: "sync"; readonly path: string; readonly begun: Change };

/** What the wrapped file system is told of each call before it is made. */
export type OnCall = (name: string, path: string) => void | Promise<void>;

/** A file system that tells of every call, and may hold it up, or fail it by throwing. */
export function watchedFileSystem(
  onCall: OnCall,
  onChange: (change: Change) => void = () => undefined,
  fs: FileSystem = nodeFileSystem,
): FileSystem {
  const around = async <Result>(
    name: string,
    path: string,
    call: () => Promise<Result>,
  ): Promise<Result> => {
    await onCall(name, path);
    return call();
  };
  return {
    makeFolder: (path) =>
      around("makeFolder", path, async () => {
        const made = await missingOf(fs, path);
        await fs.makeFolder(path);
        for (const folder of made) onChange({ kind: "folder", path: folder });
      }),
    list: (path) => around("list", path, () => fs.list(path)),
    listFolders: (path) => around("listFolders", path, () => fs.listFolders(path)),
    read: (path) => around("read", path, () => fs.read(path)),
    open: (path, mode) =>
      around(`open ${mode}`, path, async () => {
        const existed = mode === "read" || (await fs.stat(path).catch(() => null)) !== null;
        const file = await fs.open(path, mode);
        if (!existed) onChange({ kind: "create", path });
        return watchedFile(file, path, around, onChange);
      }),
    stat: (path) => around("stat", path, () => fs.stat(path)),
    rename: (from, to) =>
      around("rename", from, async () => {
        await fs.rename(from, to);
        onChange({ kind: "rename", path: from, to });
      }),
    remove: (path) =>
      around("remove", path, async () => {
        await fs.remove(path);
        onChange({ kind: "remove", path });
      }),
    removeFolder: (path) => around("removeFolder", path, () => fs.removeFolder(path)),
    syncFolder: async (path) => {
      const begun: Change = { kind: "sync begins", of: "folder", path };
      onChange(begun);
      await around("syncFolder", path, () => fs.syncFolder(path));
      onChange({ kind: "sync", path, begun });
    },
    touch: (path, atMs) => around("touch", path, () => fs.touch(path, atMs)),
    readSync: (path) => fs.readSync(path),
    removeSync: (path) => fs.removeSync(path),
  };
}

/** Which of a folder and its parents aren't there, the outermost first. */
async function missingOf(fs: FileSystem, path: string): Promise<string[]> {
  const isThere = await fs.stat(path).catch(() => null);
  return isThere === null ? [...(await missingOf(fs, dirname(path))), path] : [];
}

type Around = <Result>(name: string, path: string, call: () => Promise<Result>) => Promise<Result>;

function watchedFile(
  file: OpenFile,
  path: string,
  around: Around,
  onChange: (change: Change) => void,
): OpenFile {
  return {
    write: (bytes, position) =>
      around("write", path, async () => {
        await file.write(bytes, position);
        onChange({ kind: "write", path, position, bytes: Buffer.from(bytes) });
      }),
    read: (position, length) => around("read", path, () => file.read(position, length)),
    sync: async () => {
      const begun: Change = { kind: "sync begins", of: "file", path };
      onChange(begun);
      await around("sync", path, () => file.sync());
      onChange({ kind: "sync", path, begun });
    },
    truncate: (size) =>
      around("truncate", path, async () => {
        await file.truncate(size);
        onChange({ kind: "truncate", path, size });
      }),
    size: () => around("size", path, () => file.size()),
    close: async () => {
      // A descriptor is given back even when closing reports an error.
      await file.close();
      await around("close", path, async () => undefined);
    },
  };
}
