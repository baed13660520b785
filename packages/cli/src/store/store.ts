import type {
  ApiKey,
  AuditCheckpoint,
  AuditEntry,
  AuditExport,
  AuditExportOptions,
  AuditListOptions,
  CallOptions,
  Deployment,
  Health,
  ListOptions,
  MemoryDeleteOptions,
  MemoryEntry,
  MemorySetOptions,
  MemorySetResult,
  Organisation,
  Organisations,
  Page,
  PrefixListOptions,
  Storage,
} from "@codespar/core";

/**
 * What the commands need of a storage. The library's own handle is one; the other speaks to the server that holds the
 * files.
 */
export interface Store {
  readonly memory: {
    getEntry(agentId: string, key: string, options?: CallOptions): Promise<MemoryEntry | null>;
    set(
      agentId: string,
      key: string,
      value: unknown,
      options?: MemorySetOptions,
    ): Promise<MemorySetResult>;
    delete(agentId: string, key: string, options?: MemoryDeleteOptions): Promise<boolean>;
    list(agentId: string, options?: PrefixListOptions): PromiseLike<Page<MemoryEntry>>;
  };
  readonly apiKeys: Pick<Storage["apiKeys"], "create" | "rotate"> & {
    list(options?: ListOptions): PromiseLike<Page<ApiKey>>;
    revoke(id: string, options?: CallOptions): Promise<unknown>;
  };
  readonly audit: Pick<
    Storage["audit"],
    "get" | "verify" | "checkpoint" | "prove" | "redact" | "keys" | "rotateKey"
  > & {
    list(options?: AuditListOptions): PromiseLike<Page<AuditEntry>>;
    export(options: AuditExportOptions): Promise<ExportedTrail>;
  };
  /** @param options.timeoutMs - after how many milliseconds of silence the storage counts as unavailable */
  health(options: { readonly timeoutMs: number }): Promise<Health>;
  close(): Promise<void>;
}

/** What the commands need of what concerns all organisations: the library's own, or that of a server. */
export interface Administration {
  readonly secrets: Deployment["secrets"];
  readonly organisations: Pick<Organisations, "get" | "erase"> & {
    list(options?: ListOptions): PromiseLike<Page<Organisation>>;
    export(orgId: string, options?: CallOptions): Promise<AsyncIterable<string | Uint8Array>>;
    /** Not through a server. */
    readonly import?: Organisations["import"];
  };
}

/** A trail being written out: to be read before the storage is closed. */
export interface ExportedTrail extends Pick<AuditExport, "content" | "warnings"> {
  readonly checkpoint: Pick<AuditCheckpoint, "size" | "note"> | null;
}
