import { type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { assertNoSecret } from "../../../../tooling/secrets.ts";

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
      answerOf(incoming, `${method} ${path}`).then(resolve, reject);
    });
    outgoing.on("error", reject);
    outgoing.end(raw || body === undefined ? body : JSON.stringify(body));
  });
}

async function answerOf(incoming: IncomingMessage, call: string): Promise<Answer> {
  const { headers, rawHeaders, statusCode: status = 0 } = incoming;
  const content = await text(incoming);
  const where = `the answer ${status} to ${call.slice(0, 80)}`;
  assertNoSecret(where, [...rawHeaders, content].join("\n"), byContract(call));
  const isJson = /[/+]json(?:;|$)/.test(headers["content-type"] ?? "");
  const json: unknown = isJson && content !== "" ? JSON.parse(content) : undefined;
  return { status, headers, text: content, json };
}

/** Which answers exist to show secrets: docs/reference/http.md, "Integrations and Slack" and "API keys". */
function byContract(call: string): { secrets: boolean; apiKeys: boolean } {
  return {
    secrets:
      /^GET \/api\/(?:integrations\/[^/]+\/credentials$|slack\/installations\/tokens\?)/.test(call),
    apiKeys: /^POST \/api\/keys(?:\/[^/]+\/rotate)?$/.test(call),
  };
}
