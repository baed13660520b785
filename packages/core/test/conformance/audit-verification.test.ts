import { expect, test } from "vitest";
import type { AuditInput } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";

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
