import { createHash } from "node:crypto";
import { limits } from "../../domain/limits.ts";
import { compareUtf8 } from "../../domain/text.ts";
import { invalid, StorageError } from "../../errors/storage-error.ts";
import type { MovableTable } from "../move/content.ts";
import { isSealed, keyIdsOf } from "../stored-keys.ts";
import { type TableName, type TableSpec, tableNames, tables } from "../tables.ts";
import { encodeValue } from "../values.ts";
import {
  type ArchiveClosing,
  decodeClosing,
  decodeHeader,
  decodeMembers,
  isClosing,
  type Members,
  problemIn,
  wrongLine,
} from "./archive.ts";
import type { Line } from "./archive-lines.ts";
import { TrailCheck } from "./archive-trail.ts";
import { problemOfValues } from "./archive-values.ts";

const order: readonly MovableTable[] = [...tableNames, "audit_log"];

/**
 * Takes an archive's lines one after the other and refuses, with line number and reason, what no export writes or no backend would store.
 *
 * Lines are in order, so that what stands twice shows without memory of what came before. In memory are the slugs of the projects, about 100 bytes
 * each, and what {@link TrailCheck} keeps.
 */
export class ArchiveCheck {
  /** Ids of the keys that sealed its secrets. */
  readonly keyIds = new Set<string>();
  readonly #orgId: string;
  readonly #sum = createHash("sha256");
  readonly #counts: Partial<Record<MovableTable, number>> = {};
  readonly #trail = new TrailCheck();
  /** Values of unique columns. */
  readonly #taken = new Set<string>();
  #closing: ArchiveClosing | null = null;
  #table: MovableTable | null = null;
  #key: readonly string[] = [];
  #lines = 0;

  constructor(orgId: string) {
    this.#orgId = orgId;
  }

  /**
   * @returns the table of which the line is; `null` for the first and the last one
   * @throws StorageError `VALIDATION`, and `UNSUPPORTED` for another version's archive
   */
  take(line: Line): MovableTable | null {
    this.#lines = line.number;
    if (this.#closing !== null) throw wrongLine(line, "it follows the last one");
    if (line.number > 1 && isClosing(line)) {
      this.#close(line);
      return null;
    }
    this.#sum.update(line.bytes).update("\n");
    if (line.number === 1) {
      this.#header(line);
      return null;
    }
    const { table, members } = decodeMembers(line);
    this.#counts[table] = (this.#counts[table] ?? 0) + 1;
    if (table !== "audit_log") checkValues(line, table, members);
    this.#place(line, table, members);
    if (table === "audit_log") this.#trail.entry(line, members);
    else this.#record(line, table, members);
    return table;
  }

  /** What the last line says. @throws StorageError `VALIDATION` when it is missing */
  closing(): ArchiveClosing {
    if (this.#closing !== null) return this.#closing;
    if (this.#lines === 0) throw invalid("The archive is empty. Export it again.");
    throw invalid(
      `The archive is cut off behind line ${this.#lines}: its last line is missing. Export it again.`,
    );
  }

  #header(line: Line): void {
    const { organisation } = decodeHeader(line);
    if (organisation === this.#orgId) return;
    throw invalid(
      `This is the archive of organisation "${organisation}", not of "${this.#orgId}".`,
    );
  }

  #close(line: Line): void {
    const closing = decodeClosing(line);
    const wrong = order.find((table) => this.#counts[table] !== closing.counts[table]);
    if (wrong !== undefined) {
      const [said, there] = [closing.counts[wrong] ?? 0, this.#counts[wrong] ?? 0];
      throw wrongLine(line, `counts.${wrong} is ${said}, there are ${there}`);
    }
    this.#trail.end(line, closing);
    if (this.#sum.digest("hex") !== closing.sha256)
      throw wrongLine(line, "its checksum isn't that of the lines before it");
    this.#closing = closing;
  }

  /** By table, and in a table by key: nothing twice. */
  #place(line: Line, table: MovableTable, members: Members): void {
    const before = this.#table;
    if (before !== null && order.indexOf(table) < order.indexOf(before))
      throw wrongLine(line, `${table} comes before ${before}`);
    const { key: names }: Pick<TableSpec, "key"> =
      table === "audit_log" ? { key: [] } : tables[table];
    const key = names.map((name) => String(members[name]));
    if (table === before && table !== "audit_log") {
      const after = compareKeys(this.#key, key);
      if (after === 0) throw wrongLine(line, `a record of ${table} stands twice`);
      if (after > 0)
        throw wrongLine(line, `the records of ${table} aren't in the order of their keys`);
    }
    [this.#table, this.#key] = [table, key];
  }

  #record(line: Line, table: TableName, members: Members): void {
    const { unique }: TableSpec = tables[table];
    for (const name of unique) {
      const value = JSON.stringify([table, name, members[name]]);
      if (this.#taken.has(value)) throw wrongLine(line, `${table}: another one has this ${name}`);
      this.#taken.add(value);
    }
    if (table === "audit_anchors") this.#trail.anchor(line, members);
    if (table === "audit_checkpoints") this.#trail.checkpoint(line, members);
    if (table === "audit_keys") this.#trail.key(line, members);
    if (isSealed(table)) for (const id of keyIdsOf(table, members)) this.keyIds.add(id);
  }
}

function checkValues(line: Line, table: TableName, members: Members): void {
  const problem = problemOfValues(table, members);
  if (problem !== null) throw wrongLine(line, `${table}: ${problemIn(problem)}`);
  const { columns }: TableSpec = tables[table];
  for (const [name, type] of Object.entries(columns))
    if (type === "json") checkDocument(line, table, name, members[name]);
}

/** Whether a document may be stored at all: this deployment may allow less for new ones. */
function checkDocument(line: Line, table: TableName, name: string, value: unknown): void {
  try {
    encodeValue(value, name, limits.valueBytesMax);
  } catch (error) {
    if (!StorageError.is(error)) throw error;
    throw wrongLine(line, `${table}: ${error.message.replace(/\.$/, "")}`);
  }
}

function compareKeys(a: readonly string[], b: readonly string[]): number {
  for (const [i, part] of a.entries()) {
    const difference = compareUtf8(part, b[i] ?? "");
    if (difference !== 0) return difference;
  }
  return 0;
}
