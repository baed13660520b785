import { once } from "node:events";
import { type Agent, type IncomingMessage, request } from "node:http";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { StreamSearch } from "../../../../tooling/secrets.ts";

/** A client of server-sent events that stays in the test's hands. */
export class EventsClient implements AsyncDisposable {
  readonly incoming: IncomingMessage;
  readonly #events: EventSourceMessage[] = [];
  #comments = 0;
  #wake: () => void = () => undefined;
  #over = false;

  constructor(incoming: IncomingMessage) {
    this.incoming = incoming;
    const parser = createParser({
      onEvent: (event) => void this.#events.push(event),
      onComment: () => {
        this.#comments += 1;
      },
      onError: (error) => {
        throw error;
      },
    });
    incoming.setEncoding("utf8");
    StreamSearch.watch("the events", [incoming]);
    incoming.on("data", (text: string) => {
      parser.feed(text);
      this.#wake();
    });
    incoming.on("error", () => undefined);
    incoming.on("close", () => {
      this.#over = true;
      this.#wake();
    });
  }

  /** The next event, or `null` once the stream is over. */
  async next(): Promise<EventSourceMessage | null> {
    await this.#until(() => this.#events.length > 0);
    return this.#events.shift() ?? null;
  }

  /** Resolves once there have been so many comments. */
  comments(count: number): Promise<void> {
    return this.#until(() => this.#comments >= count);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.incoming.destroy();
    await this.#until(() => this.#over);
  }

  async #until(holds: () => boolean): Promise<void> {
    while (!holds() && !this.#over) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** Connects to `/api/events`; resolves with the headers. */
export async function connect(
  origin: string,
  {
    query = "",
    headers = {},
    agent = false,
  }: { query?: string; headers?: Record<string, string>; agent?: Agent | false } = {},
): Promise<EventsClient> {
  const outgoing = request(`${origin}/api/events${query}`, { headers, agent });
  outgoing.end();
  const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
  return new EventsClient(incoming);
}
