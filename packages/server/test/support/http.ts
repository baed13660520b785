import { request } from "node:http";
import { text } from "node:stream/consumers";

/** What is sent. The path goes out exactly as it stands here, which `fetch` wouldn't do. */
export interface Call {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  /** Sent as JSON, unless it is text or bytes. */
  readonly body?: unknown;
}

/** What came back. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The body's JSON, or undefined. */
  readonly json: unknown;
}

/** Sends one real HTTP request on a connection of its own. */
export async function send(origin: string, call: Call): Promise<Answer> {
  const { method = "GET", path, body } = call;
  const raw = typeof body === "string" || body instanceof Uint8Array;
  const headers = {
    ...(body === undefined ? {} : { "content-type": "application/json" }),
    ...call.headers,
  };
  return await new Promise((resolve, reject) => {
    const outgoing = request(origin, { method, path, headers, agent: false }, (incoming) => {
      text(incoming).then((content) => {
        const isJson = /[/+]json(?:;|$)/.test(incoming.headers["content-type"] ?? "");
        const json: unknown = isJson && content !== "" ? JSON.parse(content) : undefined;
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          text: content,
          json,
        });
      }, reject);
    });
    outgoing.on("error", reject);
    outgoing.end(raw || body === undefined ? body : JSON.stringify(body));
  });
}
