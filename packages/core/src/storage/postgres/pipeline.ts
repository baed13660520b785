import type { Connection, Submittable } from "pg";
import type { CopyOut } from "./copy-out.ts";
import type { Parameter, WireRow } from "./wire.ts";

/** A statement's text, and the name under which connections keep it prepared. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/** A statement with its parameters. */
export interface Call {
  readonly statement: Statement;
  readonly values: readonly Parameter[];
  /** For a COPY: takes what it sends. */
  readonly into?: CopyOut;
}

/** What we use of node-postgres' connection; its published types leave the rest out. */
interface Wire extends Pick<Connection, "stream"> {
  parse(query: { name: string; text: string; types: readonly number[] }): void;
  bind(config: { statement: string; values: readonly Parameter[] }): void;
  execute(config: object): void;
  sync(): void;
  on(event: "parseComplete", listener: () => void): void;
  on(event: "notice", listener: (notice: { readonly code?: string }) => void): void;
}

interface WireState {
  readonly prepared: Set<string>;
  /** Names sent to be prepared, until the server answers. */
  readonly preparing: string[];
  pipeline: Pipeline | null;
}

const states = new WeakMap<Wire, WireState>();

function stateOf(wire: Wire): WireState {
  const known = states.get(wire);
  if (known) return known;
  const state: WireState = { prepared: new Set(), preparing: [], pipeline: null };
  states.set(wire, state);
  wire.on("parseComplete", () => {
    const name = state.preparing.shift();
    if (name) state.prepared.add(name);
  });
  wire.on("notice", ({ code }) => {
    if (code === "01000" && state.pipeline) state.pipeline.warned = true;
  });
  return state;
}

/**
 * Several statements as one round trip and one implicit transaction: everything is sent at once, with one Sync at its end, where
 * PostgreSQL commits. An error undoes all of it and skips the rest. Being one transaction it is safe behind a pooler in transaction
 * mode, and settings made local in it protect the statements that follow.
 */
export class Pipeline implements Submittable {
  /** Whether a WARNING came: for a commit, that it was not replicated as asked. */
  warned = false;
  /** Whether anything left this process. */
  sent = false;
  readonly #calls: readonly Call[];
  readonly #prepare: boolean;
  readonly #done: (error: unknown, rows: WireRow[][]) => void;
  readonly #rows: WireRow[][] = [];
  #current: WireRow[] = [];
  #wire: Wire | null = null;
  #settled = false;

  /**
   * @param prepare - whether statements are prepared under their names
   * @param done - called once, with the rows of each call
   */
  constructor(
    calls: readonly Call[],
    prepare: boolean,
    done: (error: unknown, rows: WireRow[][]) => void,
  ) {
    this.#calls = calls;
    this.#prepare = prepare;
    this.#done = done;
  }

  /** Ends the connection, whatever it is waiting for. */
  destroy(): void {
    this.#wire?.stream.destroy();
  }

  submit(connection: Connection): void {
    const wire = connection as unknown as Wire;
    this.#wire = wire;
    const state = stateOf(wire);
    state.pipeline = this;
    wire.stream.cork();
    try {
      for (const { statement, values, into } of this.#calls) {
        into?.clear();
        const name = this.#prepare ? statement.name : "";
        if (!state.prepared.has(name) && !(name !== "" && state.preparing.includes(name))) {
          wire.parse({ name, text: statement.text, types: [] });
          state.preparing.push(name);
        }
        wire.bind({ statement: name, values });
        wire.execute({});
      }
      wire.sync();
      this.sent = true;
    } finally {
      wire.stream.uncork();
    }
  }

  handleDataRow(message: { readonly fields: WireRow }): void {
    this.#current.push(message.fields);
  }

  handleCopyData({ chunk }: { readonly chunk: Uint8Array }): void {
    if (!this.#settled) this.#calls[this.#rows.length]?.into?.add(chunk);
  }

  handleCommandComplete(): void {
    this.#rows.push(this.#current);
    this.#current = [];
  }

  handleReadyForQuery(): void {
    this.#settle(null);
  }

  handleError(error: unknown): void {
    this.#settle(error);
  }

  handleRowDescription(): void {}

  handlePortalSuspended(): void {}

  handleEmptyQuery(): void {}

  #settle(error: unknown): void {
    if (this.#settled) return;
    this.#settled = true;
    const state = this.#wire && states.get(this.#wire);
    if (state) {
      // What was to be prepared after the failing message never will be.
      if (error !== null) state.preparing.length = 0;
      state.pipeline = null;
    }
    this.#done(error, this.#rows);
  }
}
