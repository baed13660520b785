import { expect, it } from "vitest";
import { expectProblem } from "../support/expect.ts";
import { describeServed } from "../support/server.ts";
import { entry, signedTrail } from "../support/trail.ts";

describeServed("verification", (server) => {
  const filled = async (size: number) => {
    const trail = await signedTrail(server, size);
    const { text: note } = await trail.get("/checkpoint");
    const { items } = (await trail.get("/keys")).json as { items: { vkey: string }[] };
    return { ...trail, note, vkey: items[0]?.vkey ?? "" };
  };
  const base64 = (text: string) => Buffer.from(text).toString("base64");

  it("is held against keys that the caller trusts, however they are escaped", async () => {
    const { get, vkey } = await filled(3);
    expect((await get("/verify")).json).toMatchObject({ verdict: "unanchored", size: 3 });
    const trusted = { verdict: "ok", anchoredSize: 3, firstFailure: null };
    const other = (await filled(2)).vkey;
    for (const query of [
      `trustedKey=${encodeURIComponent(vkey)}`,
      `trustedKey=${vkey}`,
      `trustedKey=${encodeURIComponent(other)}&trustedKey=${encodeURIComponent(vkey)}`,
    ])
      expect((await get(`/verify?${query}`)).json, query).toMatchObject(trusted);
  });

  it("is held against a checkpoint that the caller kept, in either base64", async () => {
    const { get, post, note } = await filled(2);
    await post("", entry);
    const kept = { verdict: "ok", size: 3, anchoredSize: 2 };
    for (const text of [base64(note), Buffer.from(note).toString("base64url")]) {
      const query = `checkpoint=${encodeURIComponent(text)}`;
      expect((await get(`/verify?${query}`)).json).toMatchObject(kept);
    }
    // As typed into a shell: its plus signs arrive as spaces.
    expect((await get(`/verify?checkpoint=${base64(note)}`)).json).toMatchObject(kept);
  });

  it("asks for an anchor over all but so many entries", async () => {
    const { get, post, vkey } = await filled(3);
    await post("", entry);
    const verify = async (most: number) =>
      (await get(`/verify?trustedKey=${encodeURIComponent(vkey)}&maxUnanchored=${most}`)).json;
    expect(await verify(1)).toMatchObject({ verdict: "ok", anchoredSize: 3, size: 4 });
    expect(await verify(0)).toMatchObject({
      verdict: "unanchored",
      anchoredSize: 3,
      warnings: [expect.stringMatching(/^Entries from 3 on .*: 1, and 0 were allowed\.$/)],
    });
  });

  it("refuses a checkpoint that was damaged since it was signed", async () => {
    const { get, note } = await filled(2);
    const damaged = encodeURIComponent(base64(note.replace("\n2\n", "\n1\n")));
    expectProblem(await get(`/verify?checkpoint=${damaged}`), 400, "VALIDATION");
  });

  it("finds a trail that isn't the one that the caller kept a checkpoint of", async () => {
    const { get } = await filled(2);
    const { note } = await filled(2);
    const { json } = await get(`/verify?checkpoint=${encodeURIComponent(base64(note))}`);
    expect(json).toMatchObject({
      verdict: "tampered",
      firstFailure: { message: expect.any(String) },
    });
  });

  it("looks at hashes only when asked", async () => {
    const { get } = await filled(3);
    const { json } = await get("/verify?depth=hashes");
    expect(json).toMatchObject({ size: 3, checks: { link: 3, parts: 0 } });
  });

  it.each([
    "checkpoint=%%%",
    "checkpoint=a*b",
    "checkpoint=",
    `checkpoint=${encodeURIComponent(base64("not a note"))}`,
    "checkpoint=_w",
    "trustedKey=nonsense",
    "trustedKey=",
    "depth=some",
    "maxUnanchored=-1",
    "maxUnanchored=many",
    "depth=full&depth=hashes",
  ])("refuses %s", async (query) => {
    const { get } = await filled(2);
    const answer = await get(`/verify?${query}`);
    expect(answer.status).toBe(400);
    if (!query.includes("%%")) expectProblem(answer, 400, "VALIDATION");
  });
});
