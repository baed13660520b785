import { expect, test } from "vitest";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

describeEachBackend("subscribers", { everyLogin: true }, (backend) => {
  test("subscribing again changes nothing", async () => {
    const { subscribers } = backend.open();
    const now = backend.clock.iso();
    const first = await subscribers.subscribe("Reader@Example.COM", { source: "landing" });
    expect(first).toEqual({
      created: true,
      subscriber: {
        email: "reader@example.com",
        source: "landing",
        status: "pending",
        subscribedAt: now,
        confirmedAt: null,
        unsubscribedAt: null,
        version: expect.any(String),
        createdAt: now,
        updatedAt: now,
      },
    });
    backend.clock.advance(1000);
    for (const email of ["reader@example.com", "  READER@example.com\n"]) {
      expect(await subscribers.subscribe(email, { source: "footer" })).toEqual({
        ...first,
        created: false,
      });
    }
    expect(await subscribers.get("READER@EXAMPLE.COM")).toEqual(first.subscriber);
    expect((await subscribers.list()).items).toEqual([first.subscriber]);
  });

  test("of 16 that subscribe one address at once, one creates it", async () => {
    const { subscribers } = backend.open();
    const results = await Promise.all(
      Array.from({ length: 16 }, () => subscribers.subscribe("reader@example.com")),
    );
    expect(results.filter(({ created }) => created)).toHaveLength(1);
    expect(new Set(results.map(({ subscriber }) => subscriber.version)).size).toBe(1);
  });

  test("confirming is possible once subscribed, and again changes nothing", async () => {
    const { subscribers } = backend.open();
    await expectCode(subscribers.confirm("reader@example.com"), "NOT_FOUND");
    await subscribers.subscribe("reader@example.com");
    backend.clock.advance(1000);
    const confirmed = await subscribers.confirm("reader@example.com");
    expect(confirmed).toMatchObject({ status: "confirmed", confirmedAt: backend.clock.iso() });
    backend.clock.advance(1000);
    expect(await subscribers.confirm("reader@example.com")).toEqual(confirmed);
    expect(await subscribers.subscribe("reader@example.com")).toEqual({
      subscriber: confirmed,
      created: false,
    });
  });

  test("whoever unsubscribed may start anew", async () => {
    const { subscribers } = backend.open();
    expect(await subscribers.unsubscribe("reader@example.com")).toBe(false);
    await subscribers.subscribe("reader@example.com", { source: "landing" });
    await subscribers.confirm("reader@example.com");
    backend.clock.advance(1000);
    expect(await subscribers.unsubscribe("reader@example.com")).toBe(true);
    expect(await subscribers.unsubscribe("reader@example.com")).toBe(false);
    expect(await subscribers.get("reader@example.com")).toMatchObject({
      status: "unsubscribed",
      unsubscribedAt: backend.clock.iso(),
    });
    await expectCode(subscribers.confirm("reader@example.com"), "NOT_FOUND");
    backend.clock.advance(1000);
    const anew = await subscribers.subscribe("reader@example.com", { source: "footer" });
    expect(anew).toMatchObject({
      created: true,
      subscriber: {
        status: "pending",
        source: "footer",
        subscribedAt: backend.clock.iso(),
        confirmedAt: null,
        unsubscribedAt: null,
      },
    });
  });

  test("are listed by address, status and source, and counted by source", async () => {
    const { subscribers } = backend.open();
    const people = [
      ["b@example.com", "landing"],
      ["a@example.com", "landing"],
      ["c@example.com", "__proto__"],
      ["d@example.com", "footer"],
      ["e@example.com", undefined],
    ] as const;
    for (const [email, source] of people)
      await subscribers.subscribe(email, source === undefined ? {} : { source });
    await subscribers.confirm("a@example.com");
    await subscribers.unsubscribe("d@example.com");
    const emails = async (options: Parameters<typeof subscribers.list>[0]) =>
      (await subscribers.list(options)).items.map(({ email }) => email.slice(0, 1)).join("");
    expect(await emails({})).toBe("abcde");
    expect(await emails({ reverse: true })).toBe("edcba");
    expect(await emails({ status: "pending" })).toBe("bce");
    expect(await emails({ source: "landing" })).toBe("ab");
    expect(await emails({ source: "landing", status: "confirmed" })).toBe("a");
    expect(await emails({ source: "land%" })).toBe("");
    const count = await subscribers.count();
    expect(count).toMatchObject({ total: 4, confirmed: 1, unsubscribed: 1 });
    expect(Object.entries(count.bySource).toSorted()).toEqual(
      [
        ["__proto__", 1],
        ["landing", 2],
        ["unknown", 1],
      ].toSorted(),
    );
    await expectCode(subscribers.list({ status: "gone" as "pending" }), "VALIDATION");
  });

  test("nothing is counted where nobody subscribed", async () => {
    const { subscribers } = backend.open();
    expect(await subscribers.count()).toEqual({
      total: 0,
      confirmed: 0,
      unsubscribed: 0,
      bySource: {},
    });
  });

  test("addresses that aren't are refused", async () => {
    const { subscribers } = backend.open();
    const wrong: unknown[] = [
      "",
      " ",
      "reader",
      "reader@",
      "@example.com",
      "a b@example.com",
      "a@b@example.com",
      "a@example.com, b@example.com",
      "a@example.com\u0000",
      "a@example.com\nBcc: b@example.com",
      "a@\ud800.com",
      "Reader <reader@example.com>",
      "a@example..com",
      "a@example.com.",
      "a@-example.com",
      `${"x".repeat(250)}@example.com`,
      null,
      undefined,
      5,
      {},
    ];
    for (const email of wrong) {
      const call = subscribers.subscribe(email as string);
      await expect(call, String(email)).rejects.toMatchObject({
        code: expect.stringMatching(/^(VALIDATION|LIMIT_EXCEEDED)$/),
      });
    }
    expect((await subscribers.list()).items).toEqual([]);
  });

  test("addresses in any script are one address however they are typed", async () => {
    const { subscribers } = backend.open();
    const { subscriber } = await subscribers.subscribe("Jose\u0301@example.com");
    expect(subscriber.email).toBe("jos\u00e9@example.com");
    expect(await subscribers.subscribe("JOS\u00c9@example.com")).toMatchObject({ created: false });
    expect(await subscribers.subscribe("用户@例え.jp")).toMatchObject({ created: true });
    expect(await subscribers.subscribe("o'brien+news@sub.example.co.uk")).toMatchObject({
      created: true,
    });
  });
});
