export { redactionFilter } from "./audit/actions.ts";
export { KeyRing, type SecretPlace } from "./crypto/key-ring.ts";
export { Secret } from "./crypto/secret.ts";
export { type Actor, type ActorType, actorTypes, systemActor } from "./domain/actor.ts";
export {
  type AgentInput,
  type AgentState,
  type AgentStatus,
  agentStatuses,
  autonomyLevels,
} from "./domain/agent.ts";
export {
  type ApiKey,
  type ApiKeyInput,
  type ApiKeyScope,
  apiKeyScopes,
  withoutApiKeys,
} from "./domain/api-key.ts";
export {
  type AuditAgent,
  type AuditEntry,
  type AuditFilter,
  type AuditInput,
  type AuditOutcome,
  type AuditRisk,
  type AuditTarget,
  auditOutcomes,
  auditRisks,
  type SealedAuditEntry,
} from "./domain/audit.ts";
export {
  type AuditExport,
  type AuditExportFormat,
  auditExportFormats,
} from "./domain/audit-export.ts";
export {
  type AuditCheck,
  type AuditCheckpoint,
  type AuditConsistency,
  type AuditFailure,
  type AuditKey,
  type AuditProof,
  type AuditStream,
  type AuditVerification,
  type AuditVerifyInput,
  auditChecks,
} from "./domain/audit-proofs.ts";
export type { ChannelConfig, ChannelConfigInput } from "./domain/channel.ts";
export { limits } from "./domain/limits.ts";
export type { JsonValue, MemoryEntry, MemoryEntryMeta, RecordMeta } from "./domain/memory.ts";
export type { Project, ProjectInput, ProjectPatch } from "./domain/project.ts";
export {
  type ProjectConfig,
  parseRepository,
  type RepositoryLinkInput,
  type RepositoryLinkPatch,
  type RepositoryRef,
} from "./domain/repository.ts";
export type {
  SlackInstallation,
  SlackInstallationInput,
  SlackInstallationQuery,
} from "./domain/slack.ts";
export {
  type Subscriber,
  type SubscriberCount,
  type SubscriberStatus,
  subscriberStatuses,
} from "./domain/subscriber.ts";
export { type ErrorCode, type ErrorCodeInfo, errorCodes } from "./errors/codes.ts";
export { PreconditionFailedError, StorageError } from "./errors/storage-error.ts";
export type { ApiKeyRotateOptions, ApiKeys, IssuedApiKey } from "./storage/api-keys-contract.ts";
export type { Audit } from "./storage/audit-contract.ts";
export { unpackBundle } from "./storage/bundle/folder.ts";
export type { VerifyBundleOptions } from "./storage/bundle/reader.ts";
export { verifyBundle } from "./storage/bundle/verify-bundle.ts";
export { type VerifiedReceipt, verifyReceipt } from "./storage/bundle/verify-receipt.ts";
export {
  createStorage,
  defaultOrgId,
  publishServer,
  type StorageTarget,
  storageTarget,
} from "./storage/create-storage.ts";
export {
  type Deployment,
  type DeploymentSecrets,
  deploymentOf,
} from "./storage/deployment/deployment.ts";
export type {
  ErasedRows,
  EraseOrganisationOptions,
  ErasureReport,
} from "./storage/deployment/erase-organisation.ts";
export type { ImportReport } from "./storage/deployment/import-organisation.ts";
export type {
  Organisation,
  OrganisationSummary,
  Organisations,
} from "./storage/deployment/organisations.ts";
export { deploymentOrgId } from "./storage/deployment/own-trail.ts";
export type {
  RotateSecretsOptions,
  RotationProgress,
  RotationReport,
} from "./storage/deployment/rotate-secrets.ts";
export type { SealingKey, SecretsStatus } from "./storage/deployment/secrets.ts";
export { type AccessDecision, recordAccess } from "./storage/domains/access-record.ts";
export {
  type AuthenticatedKey,
  type AuthenticateOptions,
  authenticateApiKey,
  hasApiKeys,
} from "./storage/domains/authentication.ts";
export {
  type SalvagedOrganisation,
  type SalvageOptions,
  type SalvageProgress,
  type SalvageReport,
  salvage,
} from "./storage/file/salvage.ts";
export { type HoldingServer, serverHolding } from "./storage/file/server-holding.ts";
export type { Health } from "./storage/health.ts";
export {
  type AnchorTarget,
  type CheckpointKeeper,
  type KeepCheckpointsOptions,
  keepCheckpoints,
} from "./storage/keeper/keep-checkpoints.ts";
export type { KeeperEvent, KeeperStatus } from "./storage/keeper/keeper.ts";
export type { MovableTable } from "./storage/move/content.ts";
export type { MovedTable, MoveOptions, MoveProgress, MoveReport } from "./storage/move/move.ts";
export { type MoveEnd, type MoveStorageOptions, moveStorage } from "./storage/move/move-storage.ts";
export type {
  AgentListOptions,
  AuditExportOptions,
  AuditListOptions,
  CallOptions,
  DeleteOptions,
  Expiry,
  Listing,
  ListOptions,
  MemoryDeleteOptions,
  MemoryManyOptions,
  MemorySetItem,
  MemorySetOptions,
  Page,
  Preconditions,
  PrefixListOptions,
  StorageOptions,
  SubscriberListOptions,
  WriteOptions,
} from "./storage/options.ts";
export {
  type MigrateOptions,
  type MigrateResult,
  type MigrationStatus,
  migrate,
  migrationPlan,
  migrationStatus,
  type PlannedMigration,
} from "./storage/postgres/migrations/migrate.ts";
export type {
  AgentStates,
  ChannelConfigs,
  Memory,
  MemorySetResult,
  ProjectConfigs,
  Projects,
  SlackInstallations,
  Storage,
  Subscribers,
  Transaction,
  TransactionResult,
} from "./storage/storage.ts";
export type { TableName } from "./storage/tables.ts";
