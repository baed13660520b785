import { inspect } from "node:util";

/**
 * A secret that shows itself only when asked. `inspect`, `JSON.stringify` and string conversion give `[secret]`, and so do logs, errors and their
 * causes, which are made of these; `structuredClone` and `v8.serialize` give an empty object.
 *
 * What JavaScript can't do: a string can't be overwritten, so the secret stays in the process's memory until that is reused, and shows in a heap
 * snapshot, a core dump and an attached debugger.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The secret itself. Keep it short-lived, and out of logs. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return "[secret]";
  }

  toJSON(): string {
    return "[secret]";
  }

  [inspect.custom](): string {
    return "[secret]";
  }
}
