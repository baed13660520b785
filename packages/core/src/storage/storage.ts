import type { Secret } from "../crypto/secret.ts";
import type { Actor } from "../domain/actor.ts";
import type { AgentInput, AgentState } from "../domain/agent.ts";
import type { AuditEntry, AuditInput } from "../domain/audit.ts";
import type { ChannelConfig, ChannelConfigInput } from "../domain/channel.ts";
import type { MemoryEntry, MemoryEntryMeta } from "../domain/memory.ts";
import type { Project, ProjectInput, ProjectPatch } from "../domain/project.ts";
import type {
  ProjectConfig,
  RepositoryLinkInput,
  RepositoryLinkPatch,
} from "../domain/repository.ts";
import type {
  SlackInstallation,
  SlackInstallationInput,
  SlackInstallationQuery,
} from "../domain/slack.ts";
import type { Subscriber, SubscriberCount } from "../domain/subscriber.ts";
import type { ApiKeys } from "./api-keys-contract.ts";
import type { Audit } from "./audit-contract.ts";
import type { Health } from "./health.ts";
import type {
  AgentListOptions,
  CallOptions,
  DeleteOptions,
  Listing,
  ListOptions,
  MemoryDeleteOptions,
  MemoryManyOptions,
  MemorySetItem,
  MemorySetOptions,
  PrefixListOptions,
  SubscriberListOptions,
  WriteOptions,
} from "./options.ts";

/**
 * Everything that CodeSpar keeps for one organisation. The same calls give the same results on every backend, errors included.
 *
 * - **Durability**: once a write's promise resolves it survives a crash of the process and of the machine.
 * - **Atomicity**: every call happens as a whole or not at all, those on many records and their audit entries included.
 * - **Ordering**: writes to one record take effect in the order in which one handle was called; a read sees every write
 *   acknowledged before it began.
 * - **Missing** is `null`. A failure is always an error, never an empty result.
 * - **Errors** are {@link StorageError}. Any call can reject with `VALIDATION`, `UNAVAILABLE`, `ABORTED`, `CORRUPTION`,
 *   `SCHEMA_PENDING`, `SCHEMA_DRIFT` and `STORAGE_LOCKED`; what else a call can throw stands at the call.
 * - Ids and keys are well-formed Unicode without control characters, ordered by their UTF-8 bytes.
 */
export interface Storage extends AsyncDisposable {
  /** The organisation this handle is scoped to. */
  readonly orgId: string;
  /** Whom the audit trail names for what this handle does. */
  readonly actor: Actor;
  readonly backend: "file" | "postgres";

  readonly memory: Memory;
  readonly agentStates: AgentStates;
  readonly projects: Projects;
  readonly projectConfigs: ProjectConfigs;
  readonly audit: Audit;
  readonly subscribers: Subscribers;
  readonly slackInstallations: SlackInstallations;
  readonly channelConfigs: ChannelConfigs;
  readonly apiKeys: ApiKeys;

  /**
   * Runs `work` and commits what it wrote in one step. Optimistic and buffered: nothing is open in the backend while `work`
   * runs; what it read, absence included, must be unchanged at the commit, or `work` runs again, five times at most. So `work`
   * must have no side effects of its own. A throw from `work` writes nothing and is passed on.
   *
   * @throws StorageError `CONFLICT` when five attempts met newer versions; `LIMIT_EXCEEDED` beyond 128 operations or 4 MiB of
   * values; `ALREADY_EXISTS` when a unique value or the id of an audit entry is taken; `UNSUPPORTED` when `tx` is used after `work` has ended
   */
  transaction<Result>(
    work: (tx: Transaction) => Promise<Result>,
    options?: CallOptions,
  ): Promise<TransactionResult<Result>>;

  /** Another view of the same storage whose writes the audit trail attributes to `actor`. */
  as(actor: Actor): Storage;
  /** Another view of the same storage, scoped to another organisation. It shares this handle's connection and needs no closing of its own. */
  forOrg(orgId: string): Storage;

  /**
   * How the backend is. Whatever is wrong with it is in the answer, which comes within `timeoutMs` even when the backend hangs.
   *
   * @param options - `timeoutMs` in milliseconds, 1 to 60,000; 800 by default
   * @throws StorageError only `VALIDATION`, for a `timeoutMs` that isn't acceptable
   */
  health(options?: { readonly timeoutMs?: number }): Promise<Health>;

  /** Lets go of this handle; the last handle on a target waits for work in flight and closes it. Idempotent. */
  close(): Promise<void>;
}

/** What a transaction resolves to. */
export interface TransactionResult<Result> {
  /** What `work` returned. */
  readonly value: Result;
  /** The audit entries that were sealed with it, automatic ones included, in order. */
  readonly audit: readonly AuditEntry[];
}

/**
 * The domains inside `storage.transaction`. Reads see the transaction's own writes. There are no listings: what a listing
 * doesn't return can't be checked at the commit. Nor can secrets be read: their entry would go with a transaction that fails.
 */
export interface Transaction {
  readonly memory: Omit<Memory, "list" | "set" | "setMany"> & {
    /** As {@link Memory.set}; resolves to the version that the entry has once the transaction commits. */
    set(
      agentId: string,
      key: string,
      value: unknown,
      options?: MemorySetOptions,
    ): Promise<{ readonly version: string }>;
    /** As {@link Memory.setMany}; resolves to the versions that the entries have once the transaction commits. */
    setMany(
      agentId: string,
      items: readonly MemorySetItem[],
      options?: MemoryManyOptions,
    ): Promise<readonly { readonly version: string }[]>;
  };
  readonly agentStates: Omit<AgentStates, "list">;
  readonly projects: Omit<Projects, "list" | "getBySlug">;
  readonly projectConfigs: Omit<ProjectConfigs, "list">;
  readonly audit: {
    /**
     * Adds an entry at the commit; resolves to its id. Its sequence number and hash come with {@link TransactionResult}. When the trail
     * holds an entry with this id that says the same, that one is what the transaction results in, so that it can be tried again; when it
     * says something else, the transaction throws `ALREADY_EXISTS` and nothing of it is written.
     */
    append(entry: AuditInput): Promise<string>;
  };
  readonly subscribers: Omit<Subscribers, "list" | "count">;
  readonly slackInstallations: Omit<SlackInstallations, "list" | "getTokens">;
  readonly channelConfigs: Omit<ChannelConfigs, "list" | "getCredentials">;
}

/** Key-value memory per agent: table `agent_memory`. Values are deep-copied in and out. */
export interface Memory {
  /** The value, or `null` when missing or expired. A stored `null` is told apart through {@link Memory.getEntry}. */
  get<Value = unknown>(agentId: string, key: string, options?: CallOptions): Promise<Value | null>;
  /** The value with its version and instants, or `null` when missing or expired. */
  getEntry<Value = unknown>(
    agentId: string,
    key: string,
    options?: CallOptions,
  ): Promise<MemoryEntry<Value> | null>;
  /** Whether there is an unexpired entry. */
  has(agentId: string, key: string, options?: CallOptions): Promise<boolean>;
  /** The entries of up to 128 keys as of one moment, in the order asked, `null` for missing ones. */
  getMany<Value = unknown>(
    agentId: string,
    keys: readonly string[],
    options?: CallOptions,
  ): Promise<readonly (MemoryEntry<Value> | null)[]>;
  /**
   * Stores a value, replacing the entry as a whole: without a TTL it then has none.
   *
   * @param value - anything `JSON.stringify` represents without loss, up to 256 KiB of JSON (`maxValueBytes`), 64 levels deep
   * @throws StorageError `PRECONDITION_FAILED`, `LIMIT_EXCEEDED`
   */
  set(
    agentId: string,
    key: string,
    value: unknown,
    options?: MemorySetOptions,
  ): Promise<MemorySetResult>;
  /**
   * Stores up to 128 entries, all or none. No key twice. With `record` up to 64, since audit entries count.
   *
   * @throws StorageError `PRECONDITION_FAILED`, `LIMIT_EXCEEDED`
   */
  setMany(
    agentId: string,
    items: readonly MemorySetItem[],
    options?: MemoryManyOptions,
  ): Promise<readonly MemorySetResult[]>;
  /**
   * Deletes an entry.
   *
   * @returns whether there was one
   * @throws StorageError `PRECONDITION_FAILED`
   */
  delete(agentId: string, key: string, options?: MemoryDeleteOptions): Promise<boolean>;
  /**
   * Deletes up to 128 entries, all or none; tells for each whether it existed. No key twice. With `record`, an entry of the trail for
   * each that existed counts besides.
   *
   * @throws StorageError `LIMIT_EXCEEDED`
   */
  deleteMany(
    agentId: string,
    keys: readonly string[],
    options?: MemoryManyOptions,
  ): Promise<readonly boolean[]>;
  /** An agent's entries in key order. */
  list<Value = unknown>(agentId: string, options?: PrefixListOptions): Listing<MemoryEntry<Value>>;
}

/** What `memory.set` tells of the entry it stored. */
export interface MemorySetResult extends MemoryEntryMeta {
  /** Whether there was no (unexpired) entry before. */
  readonly created: boolean;
}

/** Agents, their status and autonomy: table `agent_states`. Every change but `touch` writes its audit entry. */
export interface AgentStates {
  /** The agent, also one known only by its memory (`registered: false`), or `null`. Inside a transaction: registered agents only. */
  get(agentId: string, options?: CallOptions): Promise<AgentState | null>;
  /** Whether the agent is registered. */
  has(agentId: string, options?: CallOptions): Promise<boolean>;
  /** Registers the agent, or replaces all that is said about it. @throws StorageError `PRECONDITION_FAILED` */
  set(agentId: string, state: AgentInput, options?: WriteOptions): Promise<AgentState>;
  /** Changes what is named and leaves the rest; an agent known only by its memory is registered by it. @throws StorageError `NOT_FOUND`, `PRECONDITION_FAILED` */
  update(agentId: string, patch: AgentInput, options?: DeleteOptions): Promise<AgentState>;
  /** Sets the last activity to now, without an audit entry. @throws StorageError `NOT_FOUND` */
  touch(agentId: string, options?: CallOptions): Promise<AgentState>;
  /** Removes the registration; memory and links stay. Tells whether there was one. @throws StorageError `PRECONDITION_FAILED` */
  delete(agentId: string, options?: DeleteOptions): Promise<boolean>;
  /** Agents by id, those known only by their memory included. */
  list(options?: AgentListOptions): Listing<AgentState>;
}

/** The project registry: table `projects`. Every change writes its audit entry. */
export interface Projects {
  /** Creates a project. @throws StorageError `ALREADY_EXISTS` when its id or slug is taken */
  create(project: ProjectInput, options?: CallOptions): Promise<Project>;
  get(projectId: string, options?: CallOptions): Promise<Project | null>;
  getBySlug(slug: string, options?: CallOptions): Promise<Project | null>;
  /** Changes what is named. @throws StorageError `NOT_FOUND`, `ALREADY_EXISTS` for the slug, `PRECONDITION_FAILED` */
  update(projectId: string, patch: ProjectPatch, options?: DeleteOptions): Promise<Project>;
  /** Gives a project another name; its slug stays, so that links to it hold. @throws StorageError as {@link Projects.update} */
  rename(projectId: string, name: string, options?: DeleteOptions): Promise<Project>;
  /** Removes a project; tells whether there was one. @throws StorageError `PRECONDITION_FAILED` */
  delete(projectId: string, options?: DeleteOptions): Promise<boolean>;
  /** Projects by id. */
  list(options?: ListOptions): Listing<Project>;
}

/** The repository linked to each agent: table `project_configs`. Every change writes its audit entry. */
export interface ProjectConfigs {
  get(agentId: string, options?: CallOptions): Promise<ProjectConfig | null>;
  /** Links a repository. @throws StorageError `ALREADY_EXISTS` when one is linked: unlink it first */
  link(agentId: string, link: RepositoryLinkInput, options?: CallOptions): Promise<ProjectConfig>;
  /** Changes the branch or webhook of a link. @throws StorageError `NOT_FOUND`, `PRECONDITION_FAILED` */
  update(
    agentId: string,
    patch: RepositoryLinkPatch,
    options?: DeleteOptions,
  ): Promise<ProjectConfig>;
  /** Removes the link; tells whether there was one. @throws StorageError `PRECONDITION_FAILED` */
  unlink(agentId: string, options?: DeleteOptions): Promise<boolean>;
  /** Links by agent id. */
  list(options?: ListOptions): Listing<ProjectConfig>;
}

/** Newsletter subscribers: table `subscribers`. */
export interface Subscribers {
  /** Subscribes an address; again for one that is already subscribed changes nothing, and one that unsubscribed starts anew. */
  subscribe(
    email: string,
    options?: CallOptions & { readonly source?: string },
  ): Promise<{ readonly subscriber: Subscriber; readonly created: boolean }>;
  get(email: string, options?: CallOptions): Promise<Subscriber | null>;
  /** Confirms a subscription; again changes nothing. @throws StorageError `NOT_FOUND` unless subscribed */
  confirm(email: string, options?: CallOptions): Promise<Subscriber>;
  /** Ends a subscription; tells whether there was a current one. */
  unsubscribe(email: string, options?: CallOptions): Promise<boolean>;
  /** Subscribers by address, every status unless one is asked for. */
  list(options?: SubscriberListOptions): Listing<Subscriber>;
  count(options?: CallOptions): Promise<SubscriberCount>;
}

/** Slack OAuth installations: table `slack_installations`. Tokens are sealed; every change, and every reading of tokens, found or not, writes its audit entry. */
export interface SlackInstallations {
  /**
   * Stores an installation, replacing the one of the same workspace or enterprise.
   *
   * @throws StorageError `ALREADY_EXISTS` when another organisation holds it; `ENCRYPTION_KEY_MISSING`, `KEY_MISMATCH`, `PRECONDITION_FAILED`
   */
  set(installation: SlackInstallationInput, options?: WriteOptions): Promise<SlackInstallation>;
  /** The installation without its tokens. */
  get(query: SlackInstallationQuery, options?: CallOptions): Promise<SlackInstallation | null>;
  /**
   * Its tokens by name. Seals an entry `secret.read` before it hands them over, each time: who needs a token all the time keeps it for a
   * while. `null` when there is no such installation: the entry then has the outcome `failure`.
   *
   * @throws StorageError `DECRYPTION_FAILED`, `ENCRYPTION_KEY_MISSING`, `KEY_MISMATCH`; `UNSUPPORTED` on a read-only handle
   */
  getTokens(
    query: SlackInstallationQuery,
    options?: CallOptions,
  ): Promise<Readonly<Record<string, Secret>> | null>;
  /** Removes an installation with its tokens; tells, and its entry too, whether there was one. @throws StorageError `PRECONDITION_FAILED` */
  delete(query: SlackInstallationQuery, options?: DeleteOptions): Promise<boolean>;
  list(options?: ListOptions): Listing<SlackInstallation>;
}

/** One set of credentials per integration: table `channel_configs`. Credentials are sealed; every change, and every reading of them, found or not, writes its audit entry. */
export interface ChannelConfigs {
  /** Stores an integration's credentials and settings, replacing both. @throws StorageError `ENCRYPTION_KEY_MISSING`, `KEY_MISMATCH`, `PRECONDITION_FAILED`, `LIMIT_EXCEEDED` */
  set(
    integration: string,
    config: ChannelConfigInput,
    options?: WriteOptions,
  ): Promise<ChannelConfig>;
  /** The configuration without its credentials. */
  get(integration: string, options?: CallOptions): Promise<ChannelConfig | null>;
  /**
   * The credentials by name. Seals an entry `secret.read` before it hands them over, each time: who needs them all the time keeps them for
   * a while. `null` when there is no such integration: the entry then has the outcome `failure`.
   *
   * @throws StorageError `DECRYPTION_FAILED`, `ENCRYPTION_KEY_MISSING`, `KEY_MISMATCH`; `UNSUPPORTED` on a read-only handle
   */
  getCredentials(
    integration: string,
    options?: CallOptions,
  ): Promise<Readonly<Record<string, Secret>> | null>;
  /** Removes an integration with its credentials; tells, and its entry too, whether there was one. @throws StorageError `PRECONDITION_FAILED` */
  delete(integration: string, options?: DeleteOptions): Promise<boolean>;
  list(options?: ListOptions): Listing<ChannelConfig>;
}
