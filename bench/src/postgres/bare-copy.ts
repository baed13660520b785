import { randomUUID } from "node:crypto";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import pg from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { agentId } from "../harness/memory-store.ts";
import { memoryValue } from "../harness/records.ts";

const linesPerChunk = 500;

/** The quickest way into PostgreSQL: one COPY into a table with a primary key, its lines ready in memory. */
export class BareCopy implements AsyncDisposable {
  readonly #client: pg.Client;
  readonly #chunks: readonly Buffer[];

  private constructor(client: pg.Client, chunks: readonly Buffer[]) {
    this.#client = client;
    this.#chunks = chunks;
  }

  /** Connects and prepares the lines of so many memory records. */
  static async open(url: string, orgId: string, records: number): Promise<BareCopy> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const chunks: Buffer[] = [];
    for (let start = 0; start < records; start += linesPerChunk) {
      const count = Math.min(linesPerChunk, records - start);
      const lines = Array.from({ length: count }, (_, index) => line(orgId, start + index));
      chunks.push(Buffer.from(lines.join("")));
    }
    return new BareCopy(client, chunks);
  }

  /** Copies all lines into an empty table, and returns the milliseconds it took. */
  async run(): Promise<number> {
    await this.#client.query(
      "DROP TABLE IF EXISTS bare.copied; CREATE TABLE bare.copied (LIKE bare.memory INCLUDING ALL)",
    );
    const start = performance.now();
    const copy = this.#client.query(copyFrom("COPY bare.copied FROM STDIN"));
    await pipeline(Readable.from(this.#chunks), copy);
    return performance.now() - start;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#client.end();
  }
}

function line(orgId: string, index: number): string {
  const now = new Date().toISOString();
  const value = JSON.stringify(memoryValue(index)).replaceAll("\\", "\\\\");
  return `${[orgId, agentId, index, value, randomUUID(), now, now, "\\N"].join("\t")}\n`;
}
