import { Ajv2020 } from "ajv/dist/2020.js";
import type { Answer, Call } from "./http.ts";

/** One operation of the document. */
export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly security: readonly { readonly apiKey: readonly string[] }[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
  }[];
  readonly responses: Readonly<
    Record<
      string,
      {
        readonly description: string;
        readonly headers?: Readonly<Record<string, { readonly description: string }>>;
        readonly content?: Readonly<Record<string, { readonly schema: object }>>;
      }
    >
  >;
}

/** What the tests look at of an OpenAPI document. */
export interface Description {
  readonly openapi: string;
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

/** Checks answers against an OpenAPI 3.1 document. */
export class Contract {
  readonly description: Description;
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });

  constructor(description: Description) {
    this.description = description;
    this.#ajv.addSchema(description, "openapi");
  }

  /** Throws unless the document describes this answer to this call. Pages, and routes that don't exist, stand outside of it. */
  check(call: Call, answer: Answer): void {
    const method = (call.method ?? "GET").toLowerCase();
    // Nor is what Node refuses before there is a route.
    if (method === "head" || answer.status === 431) return;
    const found = this.#find(call, method);
    if (found === undefined) {
      if ([401, 404, 405].includes(answer.status) || !call.path.startsWith("/api/")) return;
      throw new Error(`${method} ${call.path} is not described`);
    }
    const [path, operation] = found;
    const described = operation.responses[answer.status];
    if (described === undefined)
      throw new Error(`${method} ${path}: ${answer.status} is not described: ${answer.text}`);
    checkHeaders(`${method} ${path}: ${answer.status}`, described.headers, answer);
    const types = Object.keys(described.content ?? {});
    const type = String(answer.headers["content-type"] ?? "").split(";")[0] ?? "";
    if (types.length === 0) {
      if (answer.text !== "") throw new Error(`${method} ${path}: ${answer.status} has a body`);
      return;
    }
    if (!types.includes(type))
      throw new Error(`${method} ${path}: ${answer.status} is ${type}, not ${types}`);
    this.#validate(
      ["paths", path, method, "responses", String(answer.status), "content", type, "schema"],
      bodyAs(answer, type),
    );
  }

  #validate(pointer: readonly string[], value: unknown): void {
    const escaped = pointer.map((part) =>
      encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1")),
    );
    const $ref = `openapi#/${escaped.join("/")}`;
    const validate = this.#ajv.getSchema($ref) ?? this.#ajv.compile({ $ref });
    if (!validate(value)) throw new Error(`${$ref}: ${this.#ajv.errorsText(validate.errors)}`);
  }

  #find(call: Call, method: string): readonly [string, Operation] | undefined {
    const segments = call.path.split("?")[0]?.split("/") ?? [];
    const matching = Object.entries(this.description.paths).flatMap(([path, operations]) => {
      const operation = operations[method];
      return operation !== undefined && matches(path.split("/"), segments)
        ? [[path, operation] as const]
        : [];
    });
    // A literal segment wins over a parameter, as in the router.
    return matching.sort(([a], [b]) => a.split("{").length - b.split("{").length)[0];
  }
}

/** Response headers that mean something to a program, and so must be described. */
const telling = [
  "etag",
  "location",
  "content-disposition",
  "x-audit-checkpoint",
  "x-audit-warning",
  "x-request-id",
  "ratelimit",
  "ratelimit-policy",
  "retry-after",
  "www-authenticate",
];
/** Those that each answer has for which they are described, where it succeeds. */
const certain = ["location", "content-disposition", "x-request-id"];

function checkHeaders(what: string, described: object = {}, { status, headers }: Answer): void {
  const names = Object.keys(described).map((name) => name.toLowerCase());
  const untold = telling.filter((name) => headers[name] !== undefined && !names.includes(name));
  if (untold.length > 0) throw new Error(`${what} has ${untold}, which is not described`);
  const missing = certain.filter((name) => names.includes(name) && headers[name] === undefined);
  if (missing.length > 0 && status < 300) throw new Error(`${what} lacks ${missing}`);
}

function bodyAs({ json, text }: Answer, type: string): unknown {
  return type.endsWith("json") ? json : text;
}

function matches(pattern: readonly string[], segments: readonly string[]): boolean {
  return (
    pattern.length === segments.length &&
    pattern.every((part, i) =>
      part.startsWith("{") ? segments[i] !== undefined : part === segments[i],
    )
  );
}
