import { createHash, createPublicKey, verify } from "node:crypto";
import { expect, it } from "vitest";
import { bodyOf, expectProblem } from "../support/expect.ts";
import { describeServed, freshId } from "../support/server.ts";
import { entry, signedTrail, trailOf } from "../support/trail.ts";

interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: string;
  readonly note: string;
}

const json = { accept: "application/json" };

/** RFC 9162 §2.1.3.2, written from the RFC. */
function rootFrom(seq: number, size: number, leaf: string, path: readonly string[]): string {
  const node = (left: string, right: string) =>
    createHash("sha256")
      .update(Buffer.from(`01${left}${right}`, "hex"))
      .digest("hex");
  let [index, last, hash] = [seq, size - 1, leaf];
  for (const sibling of path) {
    if (index % 2 === 1 || index === last) {
      hash = node(sibling, hash);
      while (index % 2 === 0 && index > 0) [index, last] = [index / 2, Math.floor(last / 2)];
    } else hash = node(hash, sibling);
    [index, last] = [Math.floor(index / 2), Math.floor(last / 2)];
  }
  expect(last).toBe(0);
  return hash;
}

/** Whether a vkey's key has signed a note, with nothing but Node's Ed25519. */
function signed(note: string, vkey: string): boolean {
  const [name = "", keyId = "", encoded = ""] = vkey
    .split("+", 2)
    .concat(vkey.split("+").slice(2).join("+"));
  const der = Buffer.concat([
    Buffer.from("302a300506032b6570032100", "hex"),
    Buffer.from(encoded, "base64").subarray(1),
  ]);
  const key = createPublicKey({ key: der, format: "der", type: "spki" });
  const text = note.slice(0, note.indexOf("\n\n") + 1);
  return note
    .slice(text.length + 1)
    .split("\n")
    .filter((line) => line.startsWith(`— ${name} `))
    .map((line) => Buffer.from(line.slice(`— ${name} `.length), "base64"))
    .some(
      (bytes) =>
        bytes.subarray(0, 4).toString("hex") === keyId &&
        verify(null, Buffer.from(text), key, bytes.subarray(4)),
    );
}

describeServed("checkpoints and proofs", (server) => {
  const filled = (size: number) => signedTrail(server, size);

  it("are a signed note, or JSON for those who ask", async () => {
    const trail = await filled(3);
    const text = await trail.get("/checkpoint");
    expect(text.status).toBe(200);
    expect(text.headers).toMatchObject({
      "content-type": "text/plain; charset=utf-8",
      vary: "accept",
    });
    const answer = await trail.get("/checkpoint", json);
    const checkpoint = answer.json as Checkpoint;
    expect(checkpoint).toMatchObject({ size: 3, note: text.text });
    expect(text.text.startsWith(`${checkpoint.origin}\n3\n`)).toBe(true);
    const { items } = (await trail.get("/keys")).json as { items: { vkey: string }[] };
    expect(items).toHaveLength(1);
    expect(signed(text.text, items[0]?.vkey ?? "")).toBe(true);
    expect(signed(text.text.replace("\n3\n", "\n4\n"), items[0]?.vkey ?? "")).toBe(false);
  });

  it.each([
    ["text/html,application/xhtml+xml,*/*;q=0.8", "text/plain"],
    ["application/json;q=0.5, text/plain", "text/plain"],
    ["application/json;q=0.5, text/plain;q=0.1", "application/json"],
    ["application/*", "application/json"],
    ["image/png", "text/plain"],
    ["nonsense", "text/plain"],
  ])("take the Accept header %j as meaning %s", async (accept, type) => {
    const trail = await filled(2);
    const answer = await trail.get("/checkpoint", { accept });
    expect(answer.headers["content-type"]).toMatch(type);
  });

  it("are signed anew only when there is something new, and listed newest first", async () => {
    const trail = await filled(2);
    const first = await trail.get("/checkpoint");
    expect((await trail.get("/checkpoint")).text).toBe(first.text);
    await trail.post("", entry);
    const second = await trail.get("/checkpoint");
    const list = (await trail.get("/checkpoints")).json as { items: Checkpoint[] };
    expect(list.items.map(({ note }) => note)).toEqual([second.text, first.text]);
    const page = (await trail.get("/checkpoints?limit=1")).json as { nextCursor: string };
    const rest = await trail.get(
      `/checkpoints?limit=1&cursor=${encodeURIComponent(page.nextCursor)}`,
    );
    expect(rest.json).toMatchObject({ items: [{ note: first.text }], nextCursor: null });
  });

  it("prove each entry to whoever has the checkpoint", async () => {
    const trail = await filled(7);
    const checkpoint = (await trail.get("/checkpoint", json)).json as Checkpoint;
    for (let seq = 0; seq < 7; seq += 1) {
      const { json: proof } = await trail.get(`/${seq}/proof`, json);
      const { hash, path, receipt } = proof as { hash: string; path: string[]; receipt: string };
      expect(hash).toBe(bodyOf(await trail.get(`/${seq}`))["hash"]);
      expect(rootFrom(seq, 7, hash, path)).toBe(checkpoint.root);
      const text = await trail.get(`/${seq}/proof`);
      expect(text.headers["content-type"]).toBe("text/plain; charset=utf-8");
      expect(text.text).toBe(receipt);
      const [first, extra = "", ...lines] = receipt.split("\n");
      expect(first).toBe("c2sp.org/tlog-proof@v1");
      // It brings the entry's own bytes along.
      const leaf = Buffer.from(extra.replace(/^extra /, ""), "base64");
      expect(createHash("sha256").update("\0").update(leaf).digest("hex")).toBe(hash);
      const base64 = path.map((each) => Buffer.from(each, "hex").toString("base64"));
      expect(lines.join("\n")).toBe([`index ${seq}`, ...base64, "", checkpoint.note].join("\n"));
    }
    await trail.post("", entry);
    const older = await trail.get("/2/proof?size=7", json);
    expect(older.json).toMatchObject({ checkpoint: { size: 7, note: checkpoint.note } });
    for (const path of [
      "/7/proof?size=7",
      "/2/proof?size=6",
      "/8/proof",
      "/9999999999999999/proof",
    ])
      expectProblem(await trail.get(path), 404, "NOT_FOUND");
    for (const path of ["/2/proof?size=x", "/2/proof?size=-1", "/x/proof"])
      expectProblem(await trail.get(path), 400, "VALIDATION");
  });

  it("prove that a trail still begins with what it held", async () => {
    const trail = await filled(3);
    const three = (await trail.get("/checkpoint", json)).json as Checkpoint;
    for (let i = 0; i < 3; i += 1) await trail.post("", entry);
    const six = (await trail.get("/checkpoint", json)).json as Checkpoint;
    const all = await trail.get("/consistency?from=3");
    expect(all.json).toMatchObject({
      from: { size: 3, root: three.root },
      to: { size: 6, root: six.root },
    });
    expect((await trail.get("/consistency?from=3&to=6")).json).toEqual(all.json);
    expect((await trail.get("/consistency?from=0&to=3")).json).toMatchObject({ proof: [] });
    expectProblem(await trail.get("/consistency?from=3&to=7"), 404, "NOT_FOUND");
    for (const query of ["", "?from=4&to=3", "?from=-1", "?from=x", "?from=1&from=2"])
      expectProblem(await trail.get(`/consistency${query}`), 400, "VALIDATION");
  });

  it("have nothing to say of an empty trail", async () => {
    const trail = trailOf(server, freshId("org"));
    expectProblem(await trail.get("/checkpoint"), 404, "NOT_FOUND");
    expect((await trail.get("/checkpoints")).json).toEqual({ items: [], nextCursor: null });
    expect((await trail.get("/keys")).json).toEqual({ items: [] });
  });

  it("are signed with both keys when one takes the other's place, and then with the new one", async () => {
    const trail = await filled(2);
    const rotated = await trail.post("/keys/rotate");
    expect(rotated).toMatchObject({ status: 201, json: { retiredAt: null } });
    const { items } = (await trail.get("/keys")).json as { items: { vkey: string }[] };
    expect(items).toEqual([
      rotated.json,
      expect.objectContaining({ retiredAt: expect.any(String) }),
    ]);
    const [fresh = "", old = ""] = items.map(({ vkey }) => vkey);
    const both = (await trail.get("/checkpoint")).text;
    expect([signed(both, fresh), signed(both, old)]).toEqual([true, true]);
    expect(bodyOf(await trail.get("/2"))["action"]).toBe("audit.key_rotated");
    await trail.post("", entry);
    const after = (await trail.get("/checkpoint")).text;
    expect([signed(after, fresh), signed(after, old)]).toEqual([true, false]);
  });
});
