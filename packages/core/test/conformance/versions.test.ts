import { expect, test } from "vitest";
import { describeEachBackend } from "../support/backends.ts";

describeEachBackend("an organisation's versions", (backend) => {
  test("tell nothing of what others write in between", async () => {
    const [storage, other] = [backend.open(), backend.open(`${backend.orgId}-b`)];
    const seen: string[] = [];
    for (let i = 0; i < 5; i += 1) {
      seen.push((await storage.memory.set("agent", "key", i)).version);
      for (let n = 0; n < i; n += 1) await other.memory.set("agent", "key", n);
    }
    // Nothing that two have in common, at neither end, which a process or a counter would be.
    for (const [a, b] of seen.flatMap((each, i) =>
      seen.slice(0, i).map((one) => [one, each] as const),
    )) {
      expect(b.slice(0, 5)).not.toBe(a.slice(0, 5));
      expect(b.slice(-5)).not.toBe(a.slice(-5));
      expect(b.length).toBe(a.length);
    }
  });
});
