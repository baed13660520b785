import { createHash } from "node:crypto";
import { is, Placeholder, type SQL } from "drizzle-orm";
import { PgDialect } from "drizzle-orm/pg-core";
import type { Call, Statement } from "./pipeline.ts";
import type { Parameter } from "./wire.ts";

interface Shape {
  readonly statement: Statement;
  /** The placeholders' names, in the order of the parameters. */
  readonly names: readonly string[];
}

/** Statements built once per shape through Drizzle, then reused with other values. */
export class Statements {
  readonly #dialect = new PgDialect();
  readonly #shapes = new Map<string, Shape>();

  /**
   * A statement with its values.
   *
   * @param key - names the shape
   * @param build - makes its SQL, with a `sql.placeholder` for each value
   */
  call(key: string, build: () => SQL, values: Readonly<Record<string, Parameter>>): Call {
    let shape = this.#shapes.get(key);
    if (shape === undefined) {
      shape = this.#build(build());
      this.#shapes.set(key, shape);
    }
    return { statement: shape.statement, values: shape.names.map((name) => given(values, name)) };
  }

  #build(query: SQL): Shape {
    const { sql: text, params } = this.#dialect.sqlToQuery(query);
    const name = `codespar_${createHash("sha256").update(text).digest("hex").slice(0, 24)}`;
    return { statement: { name, text }, names: params.map(placeholderName) };
  }
}

function placeholderName(param: unknown): string {
  if (!is(param, Placeholder) || typeof param.name !== "string")
    throw new TypeError("a statement has a literal parameter");
  return param.name;
}

function given(values: Readonly<Record<string, Parameter>>, name: string): Parameter {
  const value = values[name];
  if (value === undefined) throw new TypeError(`no value for the parameter ${name}`);
  return value;
}
