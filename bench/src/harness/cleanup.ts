/** Disposes of things in the reverse order of their creation. (Node 20 has no `AsyncDisposableStack`.) */
export class Cleanup implements AsyncDisposable {
  readonly #steps: (() => PromiseLike<void> | void)[] = [];

  /** Takes over a thing and returns it. */
  use<Thing extends AsyncDisposable | Disposable>(thing: Thing): Thing {
    this.defer(() =>
      Symbol.asyncDispose in thing ? thing[Symbol.asyncDispose]() : thing[Symbol.dispose](),
    );
    return thing;
  }

  /** Adds a step. */
  defer(step: () => PromiseLike<void> | void): void {
    this.#steps.push(step);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) await step();
  }
}
