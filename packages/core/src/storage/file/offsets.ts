/** Offsets that share a base. They must lie within 4 GiB of it, which lines of the sizes that are taken do many times over. */
const perBase = 256;

/** A growing list of ascending file offsets, four bytes each. */
export class Offsets {
  #bases = new Float64Array(16);
  /** What is to be added to the base. */
  #distances = new Uint32Array(16 * perBase);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#length = 0;
  }

  push(offset: number): void {
    const index = this.#length;
    if (index === this.#distances.length) this.#grow();
    const base = Math.floor(index / perBase);
    if (index % perBase === 0) this.#bases[base] = offset;
    this.#distances[index] = offset - (this.#bases[base] ?? 0);
    this.#length += 1;
  }

  /** The offset at an index; 0 before the first. */
  at(index: number): number {
    if (index < 0 || index >= this.#length) return 0;
    return (this.#bases[Math.floor(index / perBase)] ?? 0) + (this.#distances[index] ?? 0);
  }

  #grow(): void {
    const bases = new Float64Array(this.#bases.length * 2);
    const distances = new Uint32Array(this.#distances.length * 2);
    bases.set(this.#bases);
    distances.set(this.#distances);
    [this.#bases, this.#distances] = [bases, distances];
  }
}
