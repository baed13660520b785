import type { AuditFilter } from "../domain/audit.ts";
import type { ApiKeyRotateOptions } from "./api-keys-contract.ts";
import type * as o from "./options.ts";

/** The names of a call's options, with what is checked of all of them alike; a set that lacks one, or has another, doesn't compile. */
type Names<Options> = {
  readonly [Name in keyof Options]-?: NonNullable<Options[Name]> extends boolean ? "flag" : true;
};

/** Names that a call takes. */
export type OptionNames = Readonly<Record<string, true | "flag">>;

const call: Names<o.CallOptions> = { signal: true };
const removal: Names<o.DeleteOptions> = { ...call, ifVersion: true };
const write: Names<o.WriteOptions> = { ...removal, ifAbsent: "flag" };
const list: Names<o.ListOptions> = { ...call, limit: true, cursor: true, reverse: "flag" };

const memorySet: Names<o.MemorySetOptions> = {
  ...write,
  ttlMs: true,
  expiresAt: true,
  record: "flag",
};
const memoryItem: Names<o.MemorySetItem> = {
  key: true,
  value: true,
  ifVersion: true,
  ifAbsent: "flag",
  ttlMs: true,
  expiresAt: true,
};
const memoryDelete: Names<o.MemoryDeleteOptions> = { ...removal, record: "flag" };
const memoryMany: Names<o.MemoryManyOptions> = { ...call, record: "flag" };
const prefixList: Names<o.PrefixListOptions> = { ...list, prefix: true };
const agentList: Names<o.AgentListOptions> = { ...list, status: true };
const subscriberList: Names<o.SubscriberListOptions> = { ...list, status: true, source: true };
const auditFilter: Names<AuditFilter> = {
  action: true,
  outcome: true,
  actorId: true,
  actorType: true,
  agentId: true,
  project: true,
  risk: true,
  correlationId: true,
  unresolved: "flag",
  from: true,
  to: true,
};
const auditList: Names<o.AuditListOptions> = {
  ...call,
  limit: true,
  cursor: true,
  order: true,
  ...auditFilter,
};
const auditExport: Names<o.AuditExportOptions> = { ...call, ...auditFilter, format: true };
const rotateKey: Names<ApiKeyRotateOptions> = { ...call, overlapMs: true, expiresAt: true };
const storage: Names<o.StorageOptions> = {
  databaseUrl: true,
  directory: true,
  readOnly: "flag",
  pool: true,
  maxConnections: true,
  connectionTimeoutMs: true,
  statementTimeoutMs: true,
  coalesce: "flag",
  preparedStatements: "flag",
  encryptionKey: true,
  maxValueBytes: true,
  clock: true,
};

/** By kind of call. */
export const optionNames = {
  call,
  delete: removal,
  write,
  list,
  memorySet,
  memoryItem,
  memoryDelete,
  memoryMany,
  prefixList,
  agentList,
  subscribe: { ...call, source: true },
  subscriberList,
  auditList,
  auditExport,
  rotateKey,
  erase: { ...call, onProgress: true, confirm: true },
  authenticate: { onEnded: true },
  rotate: { ...call, newKey: "flag", onProgress: true, limit: true },
  verify: {
    ...call,
    trustedKeys: true,
    checkpoint: true,
    maxUnanchored: true,
    depth: true,
    onProgress: true,
  },
  prove: { ...call, size: true },
  watch: { ...call, after: true },
  storage,
} as const satisfies Readonly<Record<string, OptionNames>>;
