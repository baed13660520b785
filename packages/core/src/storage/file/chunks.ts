/** What an item takes besides what is measured of it. */
const itemBytes = 256;

/** Cuts a list into pieces that each end with the item by which they reach `bytes`. */
export function* chunksOf<Item>(
  items: readonly Item[],
  bytes: number,
  bytesOf: (item: Item) => number,
): Generator<Item[], void> {
  let chunk: Item[] = [];
  let size = 0;
  for (const item of items) {
    chunk.push(item);
    size += bytesOf(item) + itemBytes;
    if (size < bytes) continue;
    yield chunk;
    chunk = [];
    size = 0;
  }
  if (chunk.length > 0) yield chunk;
}
