import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import { StorageError } from "@codespar/core";
import { HttpError } from "../errors.ts";
import { EventStream } from "./event-stream.ts";
import type { EventLimits } from "./limits.ts";

/** Keeps answers out of caches, from being compressed, which would hold events back, and nginx from gathering them. */
const streamHeaders = {
  "content-type": "text/event-stream",
  "cache-control": "no-store, no-transform",
  "x-accel-buffering": "no",
  // It ends with its connection: nothing is to be asked on it afterwards.
  connection: "close",
} as const;

/** All event streams of one process. One timer for all of them: idle ones cost a connection each and no more. */
export class EventStreams {
  readonly #limits: EventLimits;
  readonly #streams = new Set<EventStream>();
  readonly #taken = new Map<string, number>();
  #total = 0;
  #heartbeat: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(limits: EventLimits) {
    this.#limits = limits;
  }

  /**
   * Takes a place for an answer, until it is closed, whatever it becomes.
   *
   * @throws HttpError `TOO_MANY_STREAMS`
   * @throws StorageError `UNAVAILABLE` while the server stops
   */
  admit(orgId: string, response: ServerResponse): void {
    if (this.#closed) {
      throw new StorageError("UNAVAILABLE", "The server is stopping. Connect again in a moment.");
    }
    const { streams, streamsPerOrganisation } = this.#limits;
    const taken = this.#taken.get(orgId) ?? 0;
    if (this.#total >= streams) throw tooMany(`This server has ${streams} event streams`);
    if (taken >= streamsPerOrganisation)
      throw tooMany(`The organisation has ${streamsPerOrganisation} event streams on this server`);
    this.#take(orgId, 1);
    response.once("close", () => this.#take(orgId, -1));
  }

  /** Begins the answer of one that was admitted. */
  begin(response: ServerResponse, headers: OutgoingHttpHeaders): EventStream {
    const stream = new EventStream(response, this.#limits.stallMs);
    if (stream.signal.aborted) return stream;
    response.writeHead(200, { ...headers, ...streamHeaders });
    this.#streams.add(stream);
    stream.signal.addEventListener("abort", () => this.#forget(stream), { once: true });
    this.#heartbeat ??= setInterval(() => this.#beat(), this.#limits.heartbeatMs);
    return stream;
  }

  /** Ends all of them and admits no more. */
  close(): void {
    this.#closed = true;
    for (const stream of this.#streams) stream.end();
  }

  #take(orgId: string, by: 1 | -1): void {
    const taken = (this.#taken.get(orgId) ?? 0) + by;
    if (taken === 0) this.#taken.delete(orgId);
    else this.#taken.set(orgId, taken);
    this.#total += by;
  }

  #beat(): void {
    for (const stream of this.#streams) stream.beat();
  }

  #forget(stream: EventStream): void {
    this.#streams.delete(stream);
    if (this.#streams.size > 0) return;
    clearInterval(this.#heartbeat);
    this.#heartbeat = undefined;
  }
}

function tooMany(what: string): HttpError {
  return new HttpError(
    "TOO_MANY_STREAMS",
    `${what}, as many as it may have. Close one, or try again later.`,
    { "retry-after": "10" },
  );
}
