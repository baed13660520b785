import type { KeyRing } from "../crypto/key-ring.ts";
import type { AuditFailure } from "../domain/audit-proofs.ts";
import type {
  AuditHead,
  AuditQuery,
  AuditRow,
  Backend,
  CallContext,
  Commit,
  CommitResult,
  CountRow,
  KeyRange,
  OpenIntent,
  OrganisationPage,
  RecordQuery,
  RecordRef,
  StoredRecord,
  TreeTile,
} from "./backend.ts";
import type { Health } from "./health.ts";
import type { KeyState, ResealStep, SealedCount } from "./secrets-port.ts";
import type { TableName } from "./tables.ts";

/** A backend whose modules are loaded with its first call: whoever keeps files doesn't wait for those of PostgreSQL. */
export class LazyBackend implements Backend {
  readonly kind: Backend["kind"];
  readonly #load: () => Promise<Backend>;
  #loading: Promise<Backend> | null = null;
  #loaded: Backend | null = null;

  constructor(kind: Backend["kind"], load: () => Promise<Backend>) {
    this.kind = kind;
    this.#load = load;
  }

  read(
    orgId: string,
    refs: readonly RecordRef[],
    context: CallContext,
  ): Promise<(StoredRecord | null)[]> {
    return this.#use((backend) => backend.read(orgId, refs, context));
  }

  list(orgId: string, query: RecordQuery, context: CallContext): Promise<StoredRecord[]> {
    return this.#use((backend) => backend.list(orgId, query, context));
  }

  countBy(
    orgId: string,
    table: TableName,
    columns: readonly string[],
    context: CallContext,
  ): Promise<CountRow[]> {
    return this.#use((backend) => backend.countBy(orgId, table, columns, context));
  }

  agentsWithMemory(orgId: string, query: KeyRange, context: CallContext): Promise<string[]> {
    return this.#use((backend) => backend.agentsWithMemory(orgId, query, context));
  }

  commit(orgId: string, commit: Commit, context: CallContext): Promise<CommitResult> {
    return this.#use((backend) => backend.commit(orgId, commit, context));
  }

  listAudit(orgId: string, query: AuditQuery, context: CallContext): Promise<AuditRow[]> {
    return this.#use((backend) => backend.listAudit(orgId, query, context));
  }

  findAudit(orgId: string, id: string, context: CallContext): Promise<AuditRow | null> {
    return this.#use((backend) => backend.findAudit(orgId, id, context));
  }

  auditHead(orgId: string, context: CallContext): Promise<AuditHead> {
    return this.#use((backend) => backend.auditHead(orgId, context));
  }

  treeTiles(
    orgId: string,
    tiles: readonly TreeTile[],
    context: CallContext,
  ): Promise<Uint8Array[]> {
    return this.#use((backend) => backend.treeTiles(orgId, tiles, context));
  }

  openIntents(
    orgId: string,
    page: { readonly after: number; readonly limit: number },
    context: CallContext,
  ): Promise<OpenIntent[] | null> {
    return this.#use((backend) => backend.openIntents(orgId, page, context));
  }

  strayInTrail(orgId: string, context: CallContext): Promise<AuditFailure | null> {
    return this.#use((backend) => backend.strayInTrail(orgId, context));
  }

  findApiKey(orgId: string, id: string, context: CallContext): Promise<StoredRecord | null> {
    return this.#use((backend) => backend.findApiKey(orgId, id, context));
  }

  hasApiKeys(context: CallContext): Promise<boolean> {
    return this.#use((backend) => backend.hasApiKeys(context));
  }

  keyRing(use?: "open" | "seal"): Promise<KeyRing> {
    return this.#use((backend) => backend.keyRing(use));
  }

  keyState(): Promise<KeyState> {
    return this.#use((backend) => backend.keyState());
  }

  sealedCounts(): Promise<readonly SealedCount[]> {
    return this.#use((backend) => backend.sealedCounts());
  }

  reseal(orgId: string, step: ResealStep, nowMs: number): Promise<void> {
    return this.#use((backend) => backend.reseal(orgId, step, nowMs));
  }

  beginRotation(newKey: boolean): Promise<KeyRing> {
    return this.#use((backend) => backend.beginRotation(newKey));
  }

  sealCanary(): Promise<void> {
    return this.#use((backend) => backend.sealCanary());
  }

  dropEarlierKeys(): Promise<void> {
    return this.#use((backend) => backend.dropEarlierKeys());
  }

  health(timeoutMs: number): Promise<Health> {
    return this.#use((backend) => backend.health(timeoutMs));
  }

  organisations(context: CallContext, page?: OrganisationPage): Promise<string[]> {
    return this.#use((backend) => backend.organisations(context, page));
  }

  importAudit(orgId: string, rows: readonly AuditRow[], context: CallContext): Promise<void> {
    return this.#use((backend) => backend.importAudit(orgId, rows, context));
  }

  importRecords(
    orgId: string,
    table: TableName,
    records: readonly StoredRecord[],
    context: CallContext,
  ): Promise<void> {
    return this.#use((backend) => backend.importRecords(orgId, table, records, context));
  }

  eraseOrganisation(
    orgId: string,
    context: CallContext,
    onStep: (table: string, rows: number) => void,
  ): Promise<boolean> {
    return this.#use((backend) => backend.eraseOrganisation(orgId, context, onStep));
  }

  /** Behind the calls that wait for the loading too. */
  async close(): Promise<void> {
    await (await this.#loading)?.close();
  }

  #use<Result>(call: (backend: Backend) => Promise<Result>): Promise<Result> {
    return this.#loaded === null ? this.#whenLoaded().then(call) : call(this.#loaded);
  }

  #whenLoaded(): Promise<Backend> {
    this.#loading ??= this.#load().then((backend) => {
      this.#loaded = backend;
      return backend;
    });
    return this.#loading;
  }
}
