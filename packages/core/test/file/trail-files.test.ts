import { describe, expect, it } from "vitest";
import type { FileBackend } from "../../src/storage/file/file-backend.ts";
import { watchedFileSystem } from "./recording-fs.ts";
import { commitOf, entry, now, openBackend, temporaryFolder } from "./support.ts";

const id = (n: number) => `00000000-0000-7000-8000-${String(n).padStart(12, "0")}`;

function append(backend: FileBackend, n: number) {
  return backend.commit("acme", commitOf({ appends: [entry(id(n))] }), now());
}

describe("the trail's files", () => {
  it("can be looked through again after that failed", async () => {
    const directory = await temporaryFolder();
    const first = openBackend(directory);
    for (let n = 0; n < 3; n++) await append(first, n);
    await first.close();
    let failing = true;
    const fs = watchedFileSystem((name, path) => {
      if (failing && name === "read" && path.endsWith("audit_parts.jsonl")) throw new Error("once");
    });
    const backend = openBackend(directory, { fs });
    await expect(append(backend, 3)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    failing = false;
    await append(backend, 3);
    const rows = await backend.listAudit("acme", { filter: {}, limit: 10, order: "asc" }, now());
    expect(rows.map(({ seq, parts }) => [seq, parts.length])).toEqual([
      [0, 1],
      [1, 1],
      [2, 1],
      [3, 1],
    ]);
  });
});
