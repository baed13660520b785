/** A growing list of file offsets, eight bytes each. */
export class Offsets {
  #values = new Float64Array(1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#length = 0;
  }

  push(offset: number): void {
    if (this.#length === this.#values.length) {
      const larger = new Float64Array(this.#length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#length++] = offset;
  }

  /** The offset at an index; 0 before the first. */
  at(index: number): number {
    return index < 0 ? 0 : (this.#values[index] ?? 0);
  }
}
