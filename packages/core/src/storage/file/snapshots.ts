import { isoOf } from "../../domain/instant.ts";
import { type TableName, tableNames } from "../tables.ts";
import type { ErasedPart } from "./audit-parts.ts";
import type { TrailEnd } from "./audit-trail.ts";
import { unavailable } from "./failures.ts";
import type { JournalEnd } from "./journal.ts";
import { segmentFile, segmentNumber, tableFile, unfinished } from "./layout.ts";
import { type Manifest, writeManifest } from "./manifest.ts";
import { type Recovered, removeIfThere } from "./recovery.ts";
import type { StoreContext } from "./store-context.ts";
import { writeTable } from "./table-file.ts";

/** A journal smaller than this isn't replaced while writes go on. */
const journalBytesMin = 64 * 1024 * 1024;
/** Up to this size a snapshot is written whenever nothing was for a while, so that the files show what is there. */
const smallBytes = 8 * 1024 * 1024;
const idleMs = 1000;
/** After a failure, such as a full disk, the next attempt waits this long. */
const retryMs = 30_000;
/** Expired records dropped at once. */
const reclaimAtOnce = 2000;

/** Decides when an organisation's snapshot is due, and writes it while commits go on. */
export class Snapshots {
  readonly #store: StoreContext;
  readonly #orgId: string;
  readonly #folder: string;
  readonly #state: Recovered;
  /** Lets the group commit run, which calls {@link Snapshots.cut}. */
  readonly #wake: () => void;
  #manifest: Manifest | null;
  #journalBytes: number;
  /** Sizes of the tables' files. */
  readonly #sizes: Partial<Record<TableName, number>>;
  #lastWriteMs = 0;
  #retryAtMs = 0;
  #idle: NodeJS.Timeout | null = null;
  #pause: NodeJS.Timeout | null = null;
  #due = false;
  /** Whether the journal holds a part that was erased since. */
  #urgent = false;
  /** Entries that no segment of the journal holds. */
  #settledEntries: number;
  #writing: Promise<void> | null = null;
  #stopping = false;
  #closing = false;
  #warning: string | null = null;

  constructor(
    store: StoreContext,
    orgId: string,
    folder: string,
    state: Recovered,
    wake: () => void,
  ) {
    this.#store = store;
    this.#orgId = orgId;
    this.#folder = folder;
    this.#state = state;
    this.#wake = wake;
    this.#manifest = state.manifest;
    this.#journalBytes = state.journalBytes;
    this.#sizes = { ...state.tableBytes };
    this.#settledEntries = state.manifest?.audit.size ?? 0;
  }

  /** Goes on where the process before ended. */
  resume(): void {
    if (!this.#store.writable) return;
    if (this.#behind) this.#armIdle();
    this.erased(this.#state.erased);
  }

  get warning(): string | null {
    return this.#warning;
  }

  /** Whether the journal is to be cut before the next frame. */
  get wantsCut(): boolean {
    return this.#due;
  }

  /** Tells that a frame was written. */
  written(bytes: number): void {
    this.#journalBytes += bytes;
    this.#lastWriteMs = performance.now();
    this.#flushTrail();
    if (this.#journalBytes >= Math.max(journalBytesMin, this.#snapshotBytes)) this.#begin();
    else this.#armIdle();
  }

  /**
   * Tells of parts that a frame erased. They are overwritten and that is made durable at once; when the journal still holds one, a snapshot
   * follows whatever its size, which replaces the journal.
   */
  erased(parts: readonly ErasedPart[]): void {
    if (parts.length === 0) return;
    if (parts.some(({ seq }) => seq >= this.#settledEntries)) {
      this.#hurry();
    } else {
      this.#syncTrail().catch(() => this.#hurry());
    }
  }

  #hurry(): void {
    this.#urgent = true;
    this.#begin();
    this.#armIdle();
  }

  /** Drops records that have expired, and lets the next snapshot follow. */
  reclaim(): void {
    const nowIso = isoOf(this.#store.clock());
    const dropped = tableNames.map((name) =>
      this.#state.tables[name].reclaim(nowIso, reclaimAtOnce),
    );
    if (dropped.some((count) => count > 0)) this.#armIdle();
  }

  /** Cuts the journal, and starts to write what stands before the cut. Called between two frames. */
  async cut(): Promise<void> {
    this.#due = false;
    if (this.#state.journal.failure !== null) return;
    this.reclaim();
    const trailEnd = this.#state.trail.end;
    try {
      await this.#state.journal.cut();
    } catch (error) {
      this.#failed(error);
      return;
    }
    const start = this.#state.journal.end;
    const { journalBytes, urgent } = { journalBytes: this.#journalBytes, urgent: this.#urgent };
    const changed = tableNames.filter((name) => this.#state.tables[name].changed);
    for (const name of changed) this.#state.tables[name].changed = false;
    this.#journalBytes = 0;
    this.#urgent = false;
    this.#writing = this.#write(start, trailEnd, changed)
      .catch((error: unknown) => {
        for (const name of changed) this.#state.tables[name].changed = true;
        this.#journalBytes += journalBytes;
        this.#urgent ||= urgent;
        if (!(error instanceof Stopped)) this.#failed(error);
      })
      .finally(() => {
        this.#writing = null;
        if (this.#urgent) this.#begin();
      });
  }

  /** Writes a last snapshot when that is quick; gives up one that isn't. */
  async close(): Promise<void> {
    await this.#stop(!this.#isQuick);
    if (!this.#store.writable || !this.#behind || !this.#isQuick) return;
    if (this.#store.failure() !== null) return;
    await this.cut();
    await this.#writing;
  }

  /** Writes none any more. */
  abandon(): Promise<void> {
    return this.#stop(true);
  }

  async #stop(atOnce: boolean): Promise<void> {
    this.#closing = true;
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#stopping = atOnce;
    this.#pause?.ref();
    await this.#writing;
  }

  /** Whether the journal holds what the snapshot doesn't. */
  get #behind(): boolean {
    return this.#journalBytes > 0 || tableNames.some((name) => this.#state.tables[name].changed);
  }

  get #snapshotBytes(): number {
    return Object.values(this.#sizes).reduce((sum, size) => sum + size, 0);
  }

  get #isSmall(): boolean {
    return this.#journalBytes + this.#snapshotBytes <= smallBytes;
  }

  /** Whether a snapshot is worth waiting for. */
  get #isQuick(): boolean {
    return this.#isSmall || this.#urgent;
  }

  #begin(): void {
    if (this.#writing !== null || this.#due || this.#closing) return;
    if (performance.now() < this.#retryAtMs) return;
    this.#due = true;
    this.#wake();
  }

  #armIdle(): void {
    if (this.#idle !== null || this.#closing || !this.#isQuick) return;
    this.#idle = setTimeout(() => {
      this.#idle = null;
      if (performance.now() - this.#lastWriteMs < idleMs) this.#armIdle();
      else if (this.#behind) this.#begin();
      // After a failure it takes several attempts.
      if (this.#urgent && !this.#due) this.#armIdle();
    }, idleMs);
    this.#idle.unref();
  }

  #flushTrail(): void {
    // The journal has it all: what fails here is tried again with the next frame, and the snapshot tells of it.
    this.#state.trail.flush().catch(() => undefined);
  }

  #failed(error: unknown): void {
    this.#retryAtMs = performance.now() + retryMs;
    const what = unavailable(`The snapshot in ${this.#folder} can't be written`, error).message;
    const erased = this.#urgent ? ", and still holds parts of audit entries that were erased" : "";
    this.#warning = `${what} Nothing is lost, but the journal grows${erased}.`;
  }

  async #write(
    start: JournalEnd,
    trailEnd: TrailEnd,
    changed: readonly TableName[],
  ): Promise<void> {
    const { fs } = this.#store;
    const { journal, trail } = this.#state;
    await this.#syncTrail();
    const files: Partial<Record<TableName, number>> = { ...this.#manifest?.tables };
    for (const name of changed) {
      if (await this.#writeTable(name, start.segment)) files[name] = start.segment;
    }
    await fs.syncFolder(this.#folder);
    const manifest: Manifest = {
      organisation: this.#orgId,
      segment: start.segment,
      frame: start.frame,
      prev: start.prev,
      frames: journal.end.frame,
      audit: trail.markAt(trailEnd),
      tables: files,
    };
    await writeManifest(fs, this.#folder, manifest);
    this.#manifest = manifest;
    this.#warning = null;
    await this.#removeOld(start.segment);
    this.#settledEntries = trailEnd.size;
  }

  async #syncTrail(): Promise<void> {
    const { journal, trail } = this.#state;
    await trail.flush();
    try {
      await trail.sync();
    } catch (error) {
      journal.fail(
        unavailable("The files can't be written since a sync of the audit trail failed", error),
      );
      throw error;
    }
  }

  async #writeTable(name: TableName, segment: number): Promise<boolean> {
    const table = this.#state.tables[name];
    if (table.size === 0 && this.#manifest?.tables[name] === undefined) return false;
    const path = `${this.#folder}/${tableFile(name)}`;
    const bytes = await writeTable(this.#store.fs, this.#folder, table, {
      organisation: this.#orgId,
      segment,
      nowIso: isoOf(this.#store.clock()),
      pause: () => this.#letOthersRun(),
    });
    await this.#store.fs.rename(`${this.#folder}/${unfinished(tableFile(name))}`, path);
    this.#sizes[name] = bytes;
    return true;
  }

  async #removeOld(segment: number): Promise<void> {
    for (const entry of await this.#store.fs.list(this.#folder)) {
      const number = segmentNumber(entry);
      if (number !== null && number < segment) {
        await removeIfThere(this.#store.fs, `${this.#folder}/${segmentFile(number)}`);
      }
    }
  }

  /** A turn for others. The timer keeps no process alive: a script that is done ends, and its next start replays the journal. */
  async #letOthersRun(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#pause = setTimeout(resolve, 1);
      if (!this.#closing) this.#pause.unref();
    });
    this.#pause = null;
    if (this.#stopping) throw new Stopped();
  }
}

/** The snapshot was given up because the store closes. */
class Stopped extends Error {}
