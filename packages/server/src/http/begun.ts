/** Reads what comes first, so that what fails at once is answered as a problem and not by breaking off. */
export async function begun<Piece>(content: AsyncIterable<Piece>): Promise<AsyncIterable<Piece>> {
  const reader = content[Symbol.asyncIterator]();
  const first = await reader.next();
  return (async function* () {
    if (first.done === true) return;
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => reader };
  })();
}
