import { expect, test } from "vitest";
import type { AuditInput } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

const full = {
  actor: { type: "user", id: "ada" },
  action: "deploy.started",
  outcome: "approved",
  target: { type: "service", id: "web" },
  agent: { id: "deployer", run: "run-1", model: "m" },
  project: "shop",
  risk: "high",
  correlationId: "c-1",
  occurredAt: "2024-05-06T07:08:09.5+02:00",
  details: { personal: "Ada", list: [1, null] },
} as const satisfies AuditInput;

const nothing = {
  content: 0,
  link: 0,
  time: 0,
  projection: 0,
  parts: 0,
  root: 0,
  signature: 0,
  consistency: 0,
};

describeEachBackend("verifying the trail", { everyLogin: true }, (backend) => {
  test("an empty trail is intact", async () => {
    const { audit } = backend.open();
    expect(await audit.verify()).toEqual({
      verdict: "unanchored",
      size: 0,
      head: "0".repeat(64),
      log: null,
      root: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      anchoredSize: 0,
      checks: nothing,
      redacted: 0,
      firstFailure: null,
      warnings: [expect.stringContaining("Nothing outside of the trail vouches for it")],
    });
  });

  test("every check passes for every entry, also after reopening", async () => {
    const storage = backend.open();
    for (let n = 0; n < 25; n += 1) await storage.audit.append({ ...full, details: { n } });
    const verification = await storage.audit.verify();
    expect(verification).toMatchObject({ verdict: "unanchored", size: 25, firstFailure: null });
    expect(verification.checks).toMatchObject({
      content: 25,
      link: 25,
      parts: 25,
      time: 25,
      root: 1,
    });
    await storage.close();
    expect(await backend.open().audit.verify()).toEqual(verification);
  });

  test("what nothing vouches for may be no more than was allowed", async () => {
    const { audit } = backend.open();
    for (let n = 0; n < 4; n += 1) await audit.append({ action: "test.before" });
    const { size, note: checkpoint } = await audit.checkpoint();
    const [{ vkey } = { vkey: "" }] = await audit.keys();
    const anchors = [{ trustedKeys: [vkey] }, { checkpoint }];
    for (const anchor of anchors)
      expect(await audit.verify({ ...anchor, maxUnanchored: 0 })).toMatchObject({
        verdict: "ok",
        warnings: [],
      });
    for (let n = 0; n < 3; n += 1) await audit.append({ action: "test.after" });
    for (const anchor of anchors) {
      expect(await audit.verify(anchor)).toMatchObject({ verdict: "ok", anchoredSize: size });
      expect(await audit.verify({ ...anchor, maxUnanchored: 3 })).toMatchObject({ verdict: "ok" });
      for (const maxUnanchored of [2, 0])
        expect(await audit.verify({ ...anchor, maxUnanchored })).toMatchObject({
          verdict: "unanchored",
          anchoredSize: size,
          firstFailure: null,
          warnings: [
            `Entries from ${size} on are chained, and nothing outside of the trail vouches for them yet: 3, and ${maxUnanchored} were allowed.`,
          ],
        });
    }
    // Nothing vouches for anything: nothing is allowed enough.
    expect(await audit.verify({ maxUnanchored: 100 })).toMatchObject({ verdict: "unanchored" });
    // The key that signs by now is none that the caller trusts.
    await audit.rotateKey();
    for (let n = 0; n < 3; n += 1) await audit.append({ action: "test.later" });
    await audit.checkpoint();
    const byOldKey = { trustedKeys: [vkey], maxUnanchored: 2 };
    expect(await audit.verify(byOldKey)).toMatchObject({ verdict: "unanchored" });
    for (const maxUnanchored of [-1, 1.5, Number.NaN, "1" as unknown as number])
      await expectCode(audit.verify({ maxUnanchored }), "VALIDATION");
  });

  test("entries that are appended meanwhile don't disturb it", async () => {
    const { audit } = backend.open();
    for (let n = 0; n < 50; n += 1) await audit.append({ action: "test.before" });
    const appending = (async () => {
      for (let n = 0; n < 30; n += 1) await audit.append({ action: "test.meanwhile" });
    })();
    for (let n = 0; n < 5; n += 1) {
      expect(await audit.verify()).toMatchObject({ verdict: "unanchored", firstFailure: null });
    }
    await appending;
    expect(await audit.verify()).toMatchObject({ verdict: "unanchored", size: 80 });
  });

  test("tells how far it is", async () => {
    const { audit } = backend.open();
    await Promise.all(Array.from({ length: 1100 }, () => audit.append({ action: "test.many" })));
    const seen: { checked: number; size: number }[] = [];
    await audit.verify({ onProgress: (progress) => seen.push(progress) });
    expect(seen.at(-1)).toEqual({ checked: 1100, size: 1100 });
    expect(seen.length).toBeGreaterThan(1);
  });
});
