import { dirname } from "node:path";
import type { Sample } from "../support/sampled.ts";
import { overwrite } from "./memory-fs.ts";
import type { Change } from "./recording-fs.ts";

/** What a power failure may leave. */
export interface CrashState {
  readonly label: string;
  /** Whether a write is there in part. */
  readonly isTorn: boolean;
  /** Whether of several unsynced writes to one file all but one are there. */
  readonly losesOne: boolean;
  readonly files: ReadonlyMap<string, Buffer>;
  readonly folders: readonly string[];
}

/** Where one write is cut at most, in a sample. */
const cutsMax = 100;

interface Inode {
  readonly isFolder: boolean;
  synced: Buffer;
  unsynced: Change[];
}

type Entries = ReadonlyMap<string, Inode>;

/** A change of a folder's entries, with what it makes an entry of. */
interface EntryChange {
  readonly change: Change & { kind: "folder" | "create" | "rename" | "remove" };
  readonly inode: Inode | undefined;
}

/**
 * A disk as POSIX promises it and no better: a write counts once its file was synced by a sync that began after it, a created, renamed or
 * removed entry once its folder was, and what wasn't synced may be there, be missing, or be there in part.
 */
export class SimulatedDisk {
  readonly #root: string;
  #now: Entries;
  #durable: Entries;
  #unsyncedEntries: EntryChange[] = [];
  /** What each sync under way will have made durable. */
  readonly #syncing = new Map<Change, () => void>();
  #lastWrite: { readonly inode: Inode; readonly change: Change & { kind: "write" } } | null = null;

  /** @param root - a folder that is there and stays */
  constructor(root: string) {
    this.#root = root;
    this.#now = new Map([[root, newInode(true)]]);
    this.#durable = this.#now;
  }

  apply(change: Change): void {
    this.#lastWrite = null;
    switch (change.kind) {
      case "folder":
      case "create":
        this.#change({ change, inode: newInode(change.kind === "folder") });
        return;
      case "write":
      case "truncate": {
        const inode = this.#inode(change.path);
        inode.unsynced.push(change);
        if (change.kind === "write") this.#lastWrite = { inode, change };
        return;
      }
      case "rename":
      case "remove":
        this.#change({ change, inode: this.#now.get(change.path) });
        return;
      case "sync begins":
        this.#syncing.set(
          change,
          change.of === "file" ? this.#fileSync(change.path) : this.#folderSync(change.path),
        );
        return;
      case "sync":
        this.#syncing.get(change.begun)?.();
        this.#syncing.delete(change.begun);
        return;
    }
  }

  #change(entry: EntryChange): void {
    this.#now = changed(this.#now, entry);
    this.#unsyncedEntries.push(entry);
  }

  #fileSync(path: string): () => void {
    const inode = this.#inode(path);
    const written = new Set(inode.unsynced);
    return () => {
      const synced = inode.unsynced.filter((change) => written.has(change));
      inode.synced = contentOf(inode, synced);
      inode.unsynced = inode.unsynced.filter((change) => !written.has(change));
    };
  }

  #folderSync(path: string): () => void {
    const here = new Set(
      this.#unsyncedEntries.filter(({ change }) => dirname(change.path) === path),
    );
    return () => {
      for (const entry of this.#unsyncedEntries) {
        if (here.has(entry)) this.#durable = changed(this.#durable, entry);
      }
      this.#unsyncedEntries = this.#unsyncedEntries.filter((entry) => !here.has(entry));
    };
  }

  /** The states in which the disk may be found now; the last write is cut at the sampled bytes. */
  *states(sample: Sample): Generator<CrashState, void> {
    const kept = (inode: Inode) => contentOf(inode, inode.unsynced);
    const dropped = (inode: Inode) => inode.synced;
    yield this.#state("all there", this.#now, kept);
    yield this.#state("nothing unsynced there", this.#durable, dropped);
    yield this.#state("entries there, unsynced bytes not", this.#now, dropped);
    yield this.#state("bytes there, unsynced entries not", this.#durable, kept);
    for (let count = 1; count < this.#unsyncedEntries.length; count++) {
      const entries = this.#unsyncedEntries.slice(0, count).reduce(changed, this.#durable);
      yield this.#state(`${count} of the unsynced entries there`, entries, kept);
    }
    for (const missing of this.#unsyncedEntries) {
      const others = this.#unsyncedEntries.filter((entry) => entry !== missing);
      const { kind, path } = missing.change;
      const entries = others.reduce(changed, this.#durable);
      yield this.#state(`all there but ${kind} ${path}`, entries, kept);
    }
    yield* this.#lostWrites();
    yield* this.#tornWrites(sample);
  }

  /** Disks reorder: of what a file got since its last sync, any one may be missing though all that came later is there. */
  *#lostWrites(): Generator<CrashState, void> {
    for (const [path, lossy] of this.#now) {
      for (const lost of lossy.unsynced) {
        const content = (inode: Inode) =>
          contentOf(
            inode,
            inode.unsynced.filter((change) => change !== lost),
          );
        const label = `all there but a ${lost.kind} of ${path}`;
        yield { ...this.#state(label, this.#now, content), losesOne: lossy.unsynced.length > 1 };
      }
    }
  }

  *#tornWrites({ first, stride }: Sample): Generator<CrashState, void> {
    if (this.#lastWrite === null) return;
    const { inode, change } = this.#lastWrite;
    const before = inode.unsynced.slice(0, -1);
    // A file may have grown without having its bytes. What was there before is old or new.
    const { path, position, bytes } = change;
    const size = Math.max(contentOf(inode, before).length, position + bytes.length);
    const grown: Change = { kind: "truncate", path, size };
    // Of a large write not so many as of a small one.
    const step = Math.max(stride, Math.floor(change.bytes.length / cutsMax));
    for (let length = first; length < change.bytes.length; length += step) {
      const cut: Change = { ...change, bytes: change.bytes.subarray(0, length) };
      const content = (unsynced: Change[]) => (other: Inode) =>
        contentOf(other, other === inode ? unsynced : other.unsynced);
      yield {
        ...this.#state(`the last write cut at ${length}`, this.#now, content([...before, cut])),
        isTorn: true,
      };
      const padded = content([...before, grown, cut]);
      yield {
        ...this.#state(`the last write zeros from ${length}`, this.#now, padded),
        isTorn: true,
      };
    }
  }

  #state(label: string, entries: Entries, content: (inode: Inode) => Buffer): CrashState {
    const there = [...entries].filter(([path]) => this.#isReachable(path, entries));
    const files = new Map<string, Buffer>();
    for (const [path, inode] of there) if (!inode.isFolder) files.set(path, content(inode));
    const folders = there.filter(([, inode]) => inode.isFolder).map(([path]) => path);
    return { label, isTorn: false, losesOne: false, files, folders };
  }

  /** What is in a folder that is gone is gone. */
  #isReachable(path: string, entries: Entries): boolean {
    if (path === this.#root) return true;
    return entries.has(path) && this.#isReachable(dirname(path), entries);
  }

  #inode(path: string): Inode {
    const inode = this.#now.get(path);
    if (inode === undefined) throw new Error(`${path} was written without being there`);
    return inode;
  }
}

function newInode(isFolder: boolean): Inode {
  return { isFolder, synced: Buffer.alloc(0), unsynced: [] };
}

function contentOf(inode: Inode, changes: readonly Change[]): Buffer {
  let content = inode.synced;
  for (const change of changes) {
    if (change.kind === "write") content = overwrite(content, change.bytes, change.position);
    if (change.kind === "truncate")
      content = Buffer.concat([content, Buffer.alloc(change.size)]).subarray(0, change.size);
  }
  return content;
}

function changed(entries: Entries, { change, inode }: EntryChange): Entries {
  const result = new Map(entries);
  if (change.kind === "rename" || change.kind === "remove") result.delete(change.path);
  const path = change.kind === "rename" ? change.to : change.path;
  if (change.kind !== "remove" && inode !== undefined) result.set(path, inode);
  return result;
}
