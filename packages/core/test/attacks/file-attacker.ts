import { createHash } from "node:crypto";
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { removeScratch, scratchFolder } from "../../../../tooling/secrets.ts";
import type { StorageOptions } from "../../src/index.ts";
import { partMembers } from "../../src/storage/file/audit-parts.ts";
import type { Attacker } from "./attacker.ts";

/** Somebody who edits the files. */
export class FileAttacker implements Attacker {
  readonly kind = "file";
  readonly options: StorageOptions;
  readonly #saved: string[] = [];

  constructor(options: StorageOptions) {
    this.options = options;
  }

  /** An organisation's folder. */
  folder(orgId: string): string {
    return join(this.options.directory ?? "", "orgs", orgId);
  }

  async rearrange(orgId: string, change: Parameters<Attacker["rearrange"]>[1]): Promise<void> {
    const path = join(this.folder(orgId), "audit_log.jsonl");
    const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
    const stored = lines.map((line) => ({ leaf: Buffer.from(line), rest: null }));
    await writeFile(
      path,
      change(stored)
        .map(({ leaf }) => `${leaf.toString()}\n`)
        .join(""),
    );
  }

  async setPart(orgId: string, seq: number, part: Parameters<Attacker["setPart"]>[2]) {
    const path = join(this.folder(orgId), "audit_parts.jsonl");
    const text = await readFile(path, "utf8");
    const before = text.slice(0, text.indexOf(`{"seq":${seq + 1},`));
    // What is there is overwritten with spaces, as erasing does, so that everything stays where it is.
    const [line = ""] = new RegExp(`(\\{"seq":${seq},| *)[^\\n]*\\n$`).exec(before) ?? [];
    const lineOf = (body: string) =>
      part === null ? body : `{"seq":${seq},${partMembers({ ...part, body })}}`;
    const at = before.length - line.length;
    const body = part?.body ?? "";
    const room = Buffer.byteLength(line) - 1 - Buffer.byteLength(lineOf(body));
    const padded = `${lineOf(body + " ".repeat(room))}\n`;
    await writeFile(path, `${text.slice(0, at)}${padded}${text.slice(at + line.length)}`);
  }

  async removeCheckpoint(orgId: string, size: number): Promise<void> {
    const path = join(this.folder(orgId), "audit_checkpoints.json");
    const lines = (await readFile(path, "utf8")).split("\n");
    const others = lines.filter(
      (line) => !line.includes(`"size":"${String(size).padStart(16, "0")}"`),
    );
    const records = others.slice(1, -2).map((line) => line.replace(/,$/, ""));
    const text = [others[0], records.join(",\n"), ...others.slice(-2)].join("\n");
    await writeFile(path, withSum(text.replace(/"count":\d+/, `"count":${records.length}`)));
  }

  wipe(orgId: string): Promise<void> {
    return rm(this.folder(orgId), { recursive: true, force: true });
  }

  async save(orgId: string): Promise<() => Promise<void>> {
    const copy = await scratchFolder("saved");
    this.#saved.push(copy);
    await cp(this.folder(orgId), copy, { recursive: true });
    return async () => {
      await this.wipe(orgId);
      await cp(copy, this.folder(orgId), { recursive: true });
    };
  }

  async logout(): Promise<void> {
    for (const folder of this.#saved) await removeScratch(folder);
  }
}

/** A file of ours with its checksum made anew. */
export function withSum(text: string): string {
  const content = text.slice(0, text.lastIndexOf(',"sum":"'));
  return `${content},"sum":"${createHash("sha256").update(content).digest("hex")}"}\n`;
}
