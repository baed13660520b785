import { once } from "node:events";
import type { ServerResponse } from "node:http";

/** One answer of server-sent events. It holds no more than what is on its way: whoever writes waits for the reader. */
export class EventStream {
  readonly #response: ServerResponse;
  readonly #stallMs: number;
  readonly #ended = new AbortController();

  constructor(response: ServerResponse, stallMs: number) {
    this.#response = response;
    this.#stallMs = stallMs;
    if (response.destroyed) this.#ended.abort();
    else response.once("close", () => this.#ended.abort());
  }

  /** Fires when the caller has gone away or the stream was ended. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /**
   * Sends a block of lines; resolves once more can be sent. A reader who doesn't take what was sent is disconnected after `stallMs`: it
   * resumes where it stopped.
   */
  async send(block: string): Promise<void> {
    if (this.signal.aborted || this.#response.write(block)) return;
    const overdue = setTimeout(() => this.#response.destroy(), this.#stallMs);
    // What it rejects with is that the stream has ended.
    await once(this.#response, "drain", { signal: this.signal }).catch(() => undefined);
    clearTimeout(overdue);
  }

  /** A comment, which readers pass over, unless others wait to be sent. */
  beat(): void {
    if (!this.signal.aborted && !this.#response.writableNeedDrain) this.#response.write(":\n\n");
  }

  /** Ends it; readers connect anew. */
  end(): void {
    this.#response.end();
    this.#ended.abort();
  }
}
