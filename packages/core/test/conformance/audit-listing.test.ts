import { expect, test } from "vitest";
import type { AuditInput } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectEach } from "../support/expect-code.ts";

describeEachBackend("listing the trail", { everyLogin: true }, (backend) => {
  async function fill() {
    const storage = backend.open();
    const base = backend.clock.nowMs;
    const said: readonly AuditInput[] = [
      {
        action: "deploy.started",
        actor: { type: "user", id: "ada" },
        agent: { id: "a1" },
        project: "shop",
      },
      {
        action: "deploy.ended",
        actor: { type: "user", id: "ada" },
        agent: { id: "a1" },
        outcome: "failure",
      },
      {
        action: "deployment.planned",
        actor: { type: "agent", id: "a1" },
        agent: { id: "a2" },
        project: "shop",
      },
      { action: "deploy", actor: { type: "system", id: "ada" }, outcome: "denied" },
      { action: "deploy_x.started", actor: { type: "user", id: "eve" }, project: "other" },
    ];
    const entries = [];
    for (const entry of said) {
      entries.push(await storage.audit.append(entry));
      backend.clock.advance(60_000);
    }
    return { storage, entries, base };
  }

  test("gives the newest first unless asked otherwise", async () => {
    const { storage, entries } = await fill();
    expect((await storage.audit.list()).items).toEqual(entries.toReversed());
    expect((await storage.audit.list({ order: "asc" })).items).toEqual(entries);
    expect((await storage.audit.list({ order: "desc" })).items).toEqual(entries.toReversed());
  });

  test("narrows by whatever is asked for, all at once", async () => {
    const { storage } = await fill();
    const seqs = async (filter: Parameters<typeof storage.audit.list>[0]) =>
      (await storage.audit.list({ ...filter, order: "asc" })).items.map(({ seq }) => seq).join("");
    expect(await seqs({ actorType: "user" })).toBe("014");
    expect(await seqs({ actorId: "ada" })).toBe("013");
    expect(await seqs({ actorId: "ada", actorType: "user" })).toBe("01");
    expect(await seqs({ action: "deploy.started" })).toBe("0");
    expect(await seqs({ action: "deploy" })).toBe("3");
    expect(await seqs({ action: "deploy*" })).toBe("01234");
    expect(await seqs({ action: "deploy.*" })).toBe("01");
    expect(await seqs({ action: "deploy_*" })).toBe("4");
    expect(await seqs({ action: "*" })).toBe("01234");
    expect(await seqs({ action: "%" })).toBe("");
    expect(await seqs({ action: "deploy%" })).toBe("");
    expect(await seqs({ outcome: "failure" })).toBe("1");
    expect(await seqs({ agentId: "a1" })).toBe("01");
    expect(await seqs({ project: "shop" })).toBe("02");
    expect(await seqs({ project: "shop", agentId: "a1", actorId: "ada", outcome: "success" })).toBe(
      "0",
    );
    expect(await seqs({ project: "shop", outcome: "denied" })).toBe("");
    expect(await seqs({ actorId: "nobody" })).toBe("");
  });

  test("narrows by sealing time: from this instant, up to before that one", async () => {
    const { storage, entries } = await fill();
    const at = (n: number) => entries[n]?.sealedAt ?? "";
    const seqs = async (filter: Parameters<typeof storage.audit.list>[0]) =>
      (await storage.audit.list({ ...filter, order: "asc" })).items.map(({ seq }) => seq).join("");
    // Instants of the API have milliseconds; the trail's own microseconds are zero below those under this clock.
    const instant = (n: number) => new Date(at(n));
    expect(await seqs({ from: instant(1), to: instant(3) })).toBe("12");
    expect(await seqs({ from: instant(4).toISOString() })).toBe("4");
    expect(await seqs({ to: instant(1).toISOString() })).toBe("0");
    expect(await seqs({ from: new Date(instant(1).getTime() + 1), to: instant(3) })).toBe("2");
    expect(await seqs({ from: instant(3), to: instant(1) })).toBe("");
    expect(await seqs({ from: "2000-01-01T00:00:00Z", to: "2001-01-01T00:00:00Z" })).toBe("");
  });

  test.each(["asc", "desc"] as const)(
    "pages through a filtered trail that keeps growing, %s",
    async (order) => {
      const storage = backend.open();
      const actions = Array.from({ length: 30 }, (_, n) => (n % 3 === 0 ? "test.a" : "test.b"));
      for (const action of actions) await storage.audit.append({ action });
      const seen: number[] = [];
      for await (const { seq } of storage.audit.list({ action: "test.a", limit: 2, order })) {
        seen.push(seq);
        await storage.audit.append({ action: "test.b" });
      }
      const expected = Array.from({ length: 10 }, (_, n) => n * 3);
      expect(seen).toEqual(order === "asc" ? expected : expected.toReversed());
    },
  );

  test("refuses filters that aren't", async () => {
    const storage = backend.open();
    const wrong: object[] = [
      { actorType: "robot" },
      { outcome: "maybe" },
      { actorId: "" },
      { actorId: 5 },
      { action: "" },
      { action: "\ud800" },
      { agentId: null },
      { from: "yesterday" },
      { from: "0000-12-31T23:59:59Z" },
      { from: "0001-01-01T00:00:00+01:00" },
      { to: 5 },
      { order: "up" },
      { limit: "10" },
    ];
    await expectEach(
      wrong.map((filter) => storage.audit.list(filter)),
      "VALIDATION",
    );
    await storage.audit.append({ action: "test.kept" });
    expect((await storage.audit.list({ actorId: undefined } as object)).items).toHaveLength(1);
    const always = { from: "0001-01-01T00:00:00Z", to: "9999-12-31T23:59:59.999Z" };
    expect((await storage.audit.list(always)).items).toHaveLength(1);
  });
});
