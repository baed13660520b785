import type { StorageError } from "../../errors/storage-error.ts";
import type { FileSystem } from "./file-system.ts";
import type { RouteClaims } from "./route-claims.ts";
import type { Usage } from "./usage.ts";

/** What the organisations of one open folder share. */
export interface StoreContext {
  readonly fs: FileSystem;
  readonly writable: boolean;
  readonly usage: Usage;
  readonly routes: RouteClaims;
  readonly clock: () => number;
  /** Why nothing can be written any more, such as a lost lock; else `null`. */
  failure(): StorageError | null;
  /** After a long pause, makes sure that the lock is still ours. */
  confirm(): Promise<void>;
  /** Makes an organisation's folder durably. */
  prepareFolder(folder: string): Promise<void>;
}
