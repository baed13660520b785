import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

/** What a worker process offers, by name. Arguments and results are copied (structured clone). */
// biome-ignore lint/suspicious/noExplicitAny: each handler names its own argument, and callers see its type
export type Handlers = Readonly<Record<string, (argument: any) => unknown>>;

interface Request {
  readonly id: number;
  readonly name: string;
  readonly argument: unknown;
}

interface Response {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** In the worker: answers calls until the parent lets go. */
export function serve(handlers: Handlers): void {
  process.on("message", (request: Request) => {
    const handler = handlers[request.name];
    const work = async (): Promise<unknown> => {
      if (handler === undefined) throw new Error(`no handler ${request.name}`);
      return await handler(request.argument);
    };
    const reply = (response: Response): void => void process.send?.(response);
    work().then(
      (result) => reply({ id: request.id, result }),
      (error: unknown) =>
        reply({ id: request.id, error: error instanceof Error ? `${error.stack}` : String(error) }),
    );
  });
  // Whoever started it is gone: nothing is left to measure.
  process.once("disconnect", () => process.exit());
}

/** A process of its own, so that one contestant's heap and background work doesn't burden another. */
export class Worker<Offered extends Handlers> implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: Error) => void }
  >();
  #calls = 0;

  /** @param module - a file of `workers/` that calls {@link serve}; it inherits this process's flags */
  constructor(module: URL) {
    this.#process = fork(module, {
      serialization: "advanced",
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.#process.on("message", (response: Response) => {
      const call = this.#waiting.get(response.id);
      this.#waiting.delete(response.id);
      if (response.error === undefined) call?.resolve(response.result);
      else call?.reject(new Error(`worker: ${response.error}`));
    });
    this.#process.once("exit", (code, signal) => {
      for (const { reject } of this.#waiting.values()) {
        reject(new Error(`worker ended with ${signal ?? code}`));
      }
    });
  }

  /** Calls a handler in the worker. */
  call<Name extends keyof Offered & string>(
    name: Name,
    argument: Parameters<Offered[Name]>[0],
  ): Promise<Awaited<ReturnType<Offered[Name]>>> {
    const id = this.#calls++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, {
        resolve: (value) => resolve(value as Awaited<ReturnType<Offered[Name]>>),
        reject,
      });
      this.#process.send({ id, name, argument } satisfies Request);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { exitCode, signalCode } = this.#process;
    if (exitCode !== null || signalCode !== null) return;
    const gone = once(this.#process, "exit");
    if (this.#process.connected) this.#process.disconnect();
    await gone;
  }
}
