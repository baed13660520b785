import { testSecret } from "../../../../tooling/secrets.ts";
import type { Description, Operation } from "./contract.ts";

/** As much of JSON Schema as the document uses. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly format?: string;
  readonly minimum?: number;
  readonly minItems?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}

/** Texts that some members must have to mean anything. */
const meaningful: Readonly<Record<string, unknown>> = {
  repository: "github/docs",
  credentials: { token: testSecret("sample") },
  settings: {},
  value: 1,
};

/** A value that a schema accepts: of an object only what is required. */
export function sampleOf(description: Description, schema: Schema, name = ""): unknown {
  if (schema.$ref !== undefined) return sampleOf(description, resolve(description, schema.$ref));
  if (Object.hasOwn(meaningful, name)) return meaningful[name];
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return schema.enum[0];
  const [first] = schema.anyOf ?? schema.oneOf ?? schema.allOf ?? [];
  if (first !== undefined) return sampleOf(description, first, name);
  switch ([schema.type].flat()[0]) {
    case "object":
      return Object.fromEntries(
        (schema.required ?? []).map((member) => [
          member,
          sampleOf(description, schema.properties?.[member] ?? {}, member),
        ]),
      );
    case "array":
      return schema.items === undefined ? [] : [sampleOf(description, schema.items)];
    case "integer":
    case "number":
      return schema.minimum ?? 1;
    case "boolean":
      return true;
    case "null":
      return null;
    default:
      return schema.format === "uuid" ? "0199a7c2-1b2f-7d3c-8e4f-5a6b7c8d9e0f" : "sample.text";
  }
}

/** The schema of an operation's JSON body; `undefined` where it takes none. */
export function bodySchemaOf(operation: Operation): Schema | undefined {
  const { requestBody } = operation as {
    readonly requestBody?: {
      readonly content: Readonly<Record<string, { readonly schema: Schema }>>;
    };
  };
  return requestBody?.content["application/json"]?.schema;
}

function resolve(description: Description, pointer: string): Schema {
  let at: unknown = description;
  for (const part of pointer.replace("#/", "").split("/"))
    at = (at as Record<string, unknown>)[part];
  return at as Schema;
}
