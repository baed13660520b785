import { StorageError } from "../../errors/storage-error.ts";
import { corruption, unavailable } from "./failures.ts";
import type { FileSystem, OpenFile } from "./file-system.ts";
import { encodeFrame } from "./frame.ts";
import { segmentFile } from "./layout.ts";

/** Where a journal stands: the next frame's number and what it follows, and the segment that it goes to. */
export interface JournalEnd {
  readonly segment: number;
  /** Bytes of whole frames in that segment. */
  readonly position: number;
  readonly frame: number;
  readonly prev: string;
}

/**
 * The one file that commits. A frame is acknowledged after it was written and synced; after a failure nothing more is written,
 * because nobody can know what of it reached the disk until the file is read again.
 */
export class Journal {
  readonly #fs: FileSystem;
  readonly #folder: string;
  #file: OpenFile | null;
  #segment: number;
  #position: number;
  #frame: number;
  #prev: string;
  #failure: StorageError | null = null;

  /** `file` is the last segment, open for writing, or `null` when it is yet to be made. */
  constructor(fs: FileSystem, folder: string, end: JournalEnd, file: OpenFile | null) {
    this.#fs = fs;
    this.#folder = folder;
    this.#segment = end.segment;
    this.#position = end.position;
    this.#frame = end.frame;
    this.#prev = end.prev;
    this.#file = file;
  }

  get end(): JournalEnd {
    return {
      segment: this.#segment,
      position: this.#position,
      frame: this.#frame,
      prev: this.#prev,
    };
  }

  /** Why nothing more can be written until the files are reopened, or `null`. */
  get failure(): StorageError | null {
    return this.#failure;
  }

  fail(error: StorageError): void {
    this.#failure ??= error;
  }

  /**
   * Writes one frame and waits until it is on the disk.
   *
   * @throws StorageError `UNAVAILABLE`: the outcome is unknown
   */
  async append(body: Buffer): Promise<void> {
    const { bytes, sum } = encodeFrame(this.#frame, this.#prev, body);
    try {
      this.#file ??= await this.#create(this.#segment);
      await this.#file.write(bytes, this.#position);
      await this.#file.sync();
    } catch (error) {
      this.#failure = unavailable("The files can't be written since a write failed", error);
      throw unavailable("The write to the journal failed: outcome unknown", error);
    }
    this.#position += bytes.length;
    this.#frame++;
    this.#prev = sum;
  }

  /** Goes on in a new segment, so that those before it can be replaced by a snapshot. Not while a frame is being written. */
  async cut(): Promise<void> {
    const next = await this.#create(this.#segment + 1);
    const last = this.#file;
    this.#file = next;
    this.#segment++;
    this.#position = 0;
    await last?.close();
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    this.fail(new StorageError("UNAVAILABLE", "The storage was closed. Create a new one."));
    await file?.close();
  }

  async #create(segment: number): Promise<OpenFile> {
    const path = `${this.#folder}/${segmentFile(segment)}`;
    const file = await this.#fs.open(path, "edit");
    try {
      // A cut that failed half-way may have left an empty one. One that holds something must not be written over.
      if ((await file.size()) > 0) throw corruption(path, 0, "a new segment holds something");
      await this.#fs.syncFolder(this.#folder);
      return file;
    } catch (error) {
      await file.close();
      throw error;
    }
  }
}
