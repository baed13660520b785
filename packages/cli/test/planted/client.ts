import { request } from "node:http";
import { connect } from "node:net";
import { buffer, text } from "node:stream/consumers";
import type { Token } from "./tokens.ts";
import type { Written } from "./written.ts";

export interface Call {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  /** Sent as JSON, unless it is text. */
  readonly body?: unknown;
  /** Tokens that this answer exists to hand out: found in its body before it is kept. */
  readonly handsOut?: (body: string) => readonly Token[];
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Sends requests to a server and keeps all that comes back. */
export class Client {
  readonly #url: string;
  readonly #written: Written;

  constructor(url: string, written: Written) {
    this.#url = url;
    this.#written = written;
  }

  async send({ method = "GET", path, headers = {}, body, handsOut }: Call): Promise<Answer> {
    const type = body === undefined ? {} : { "content-type": "application/json" };
    const options = { method, path, headers: { ...type, ...headers }, agent: false };
    return new Promise((resolve, reject) => {
      const outgoing = request(this.#url, options, (incoming) => {
        buffer(incoming).then((bytes) => {
          const content = bytes.toString("utf8");
          const what = `the answer ${incoming.statusCode} to ${method} ${path.slice(0, 40)}`;
          this.#keep(what, incoming.rawHeaders.join("\n"));
          this.#keep(what, bytes, handsOut?.(content));
          resolve({ status: incoming.statusCode ?? 0, body: content });
        }, reject);
      });
      outgoing.on("error", reject);
      outgoing.end(typeof body === "string" || body === undefined ? body : JSON.stringify(body));
    });
  }

  /** Sends what needn't be HTTP, and takes what comes back until the server closes. */
  async sendRaw(bytes: string): Promise<void> {
    const { port } = new URL(this.#url);
    const socket = connect({ port: Number(port), host: "localhost", allowHalfOpen: true });
    // Half closed: the server ends it once all is answered.
    socket.end(bytes);
    this.#keep("the answer to a broken request", await text(socket));
  }

  /** Opens the stream of events; `ended` resolves when the server ends it. */
  async follow(headers: Readonly<Record<string, string>>): Promise<{ ended: Promise<void> }> {
    return new Promise((resolve, reject) => {
      const outgoing = request(`${this.#url}/api/events`, { headers, agent: false }, (incoming) => {
        const chunks: Buffer[] = [];
        const ended = new Promise<void>((end) => {
          incoming
            .on("error", () => undefined)
            .once("close", () => {
              this.#keep("the events", Buffer.concat(chunks));
              end();
            });
        });
        incoming.on("data", (chunk: Buffer) => {
          chunks.push(chunk);
          resolve({ ended });
        });
      });
      outgoing.on("error", reject);
      outgoing.end();
    });
  }

  #keep(what: string, content: Buffer | string, handedOut: readonly Token[] = []): void {
    this.#written.add("answers of the server", what, content, handedOut);
  }
}
