import { StorageError } from "../errors/storage-error.ts";

/** @throws StorageError `ABORTED` when the signal has fired before anything was done */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw aborted(signal, "before it was sent; nothing was written");
}

/** The error of a call whose signal fired. */
export function aborted(signal: AbortSignal, when: string): StorageError {
  return new StorageError("ABORTED", `The call was aborted ${when}.`, { cause: signal.reason });
}

/** Settles as `work` does, unless the signal fires first: then at once with what `onAbort` gives. `work` goes on. */
export function unlessAborted<Result>(
  work: Promise<Result>,
  signal: AbortSignal | undefined,
  onAbort: (signal: AbortSignal) => StorageError,
): Promise<Result> {
  if (signal === undefined) return work;
  return new Promise<Result>((resolve, reject) => {
    const abort = () => reject(onAbort(signal));
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
