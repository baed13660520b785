/** A promise with what settles it: `Promise.withResolvers`, which Node 20 lacks. */
export interface Deferred<Result> {
  readonly promise: Promise<Result>;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/** Makes a promise to be settled from outside. */
export function deferred<Result>(): Deferred<Result> {
  let resolve: Deferred<Result>["resolve"] = () => undefined;
  let reject: Deferred<Result>["reject"] = () => undefined;
  const promise = new Promise<Result>((onResult, onError) => {
    resolve = onResult;
    reject = onError;
  });
  return { promise, resolve, reject };
}
