import { expect, test } from "vitest";
import { testSecret } from "../../../../tooling/secrets.ts";
import type { ChannelConfigInput } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

describeEachBackend("integrations", { everyLogin: true }, (backend) => {
  test("keep one set of credentials and settings each", async () => {
    const { channelConfigs } = backend.open();
    const now = backend.clock.iso();
    const sentry = await channelConfigs.set("sentry", {
      credentials: { token: testSecret("abc"), dsn: testSecret("def") },
      settings: { organisation: "acme", projects: ["web", null], nested: { deep: true } },
    });
    expect(sentry).toEqual({
      integration: "sentry",
      settings: { organisation: "acme", projects: ["web", null], nested: { deep: true } },
      credentialNames: ["dsn", "token"],
      version: expect.any(String),
      createdAt: now,
      updatedAt: now,
    });
    await channelConfigs.set("railway", { credentials: { token: testSecret("xyz") } });
    expect(await channelConfigs.get("sentry")).toEqual(sentry);
    expect(await channelConfigs.get("vercel")).toBeNull();
    expect(await channelConfigs.getCredentials("vercel")).toBeNull();
    expect((await channelConfigs.list()).items.map(({ integration }) => integration)).toEqual([
      "railway",
      "sentry",
    ]);
    const credentials = await channelConfigs.getCredentials("sentry");
    expect(credentials?.["token"]?.reveal()).toBe(testSecret("abc"));
    expect(credentials?.["dsn"]?.reveal()).toBe(testSecret("def"));
  });

  test("are replaced as a whole", async () => {
    const { channelConfigs } = backend.open();
    const first = await channelConfigs.set("sentry", {
      credentials: { token: testSecret("a"), old: testSecret("b") },
      settings: { a: 1 },
    });
    backend.clock.advance(1000);
    const second = await channelConfigs.set("sentry", { credentials: { token: testSecret("c") } });
    expect(second).toEqual({
      ...first,
      credentialNames: ["token"],
      settings: {},
      version: second.version,
      updatedAt: backend.clock.iso(),
    });
    const credentials = await channelConfigs.getCredentials("sentry");
    expect(Object.keys(credentials ?? {})).toEqual(["token"]);
  });

  test("are removed with their credentials", async () => {
    const { channelConfigs } = backend.open();
    await channelConfigs.set("sentry", { credentials: { token: testSecret("a") } });
    expect(await channelConfigs.delete("sentry")).toBe(true);
    expect(await channelConfigs.delete("sentry")).toBe(false);
    expect(await channelConfigs.getCredentials("sentry")).toBeNull();
  });

  test("credentials hold any well-formed text", async () => {
    const { channelConfigs } = backend.open();
    const values = [
      "",
      "\u0000",
      "line\nbreak",
      "😀",
      '"quoted"',
      testSecret().padEnd(10_000, "x"),
    ];
    for (const [n, value] of values.entries()) {
      await channelConfigs.set(`i${n}`, { credentials: { token: value } });
      expect((await channelConfigs.getCredentials(`i${n}`))?.["token"]?.reveal()).toBe(value);
    }
  });

  test("a name __proto__ is kept like any other, in settings and Slack tokens too", async () => {
    const { channelConfigs, slackInstallations } = backend.open();
    const named = (value: unknown) => JSON.parse(JSON.stringify({ ["__proto__"]: value, a: "b" }));
    const teamId = `T${backend.orgId}`;
    const config = { credentials: named(testSecret()), settings: named({ deep: 1 }) };
    const stored = await channelConfigs.set("sentry", config);
    expect(stored.credentialNames).toEqual(["__proto__", "a"]);
    expect(JSON.stringify(stored.settings)).toBe('{"__proto__":{"deep":1},"a":"b"}');
    expect(await channelConfigs.get("sentry")).toEqual(stored);
    await slackInstallations.set({ teamId, tokens: named(testSecret()) });
    for (const secrets of [
      await channelConfigs.getCredentials("sentry"),
      await slackInstallations.getTokens({ teamId }),
    ]) {
      const shown = Object.entries(secrets ?? {}).map(([name, value]) => [name, value.reveal()]);
      expect(shown.sort()).toEqual([
        ["__proto__", testSecret()],
        ["a", "b"],
      ]);
    }
  });

  test("that aren't acceptable are refused", async () => {
    const { channelConfigs, audit } = backend.open();
    for (const name of ["Sentry", "sen try", "-a", "a.b", "a/b", "..", "ä", "", "x".repeat(65)]) {
      await expectCode(
        channelConfigs.set(name, { credentials: { token: testSecret("a") } }),
        "VALIDATION",
      );
      await expectCode(channelConfigs.get(name), "VALIDATION");
    }
    const wrong: unknown[] = [
      {},
      { credentials: null },
      { credentials: { token: 5 } },
      { credentials: [["token", "a"]] },
      { credentials: new Map([["token", testSecret()]]) },
      { credentials: { "": testSecret("a") } },
      { credentials: { token: testSecret("a") }, settings: new Map() },
      { credentials: { token: testSecret("a") }, settings: null },
      { credentials: { token: testSecret("a") }, settings: [1] },
      { credentials: { token: testSecret("a") }, settings: { a: Number.NaN } },
      { credentials: { token: testSecret("a") }, settings: { a: 1n } },
      { credentials: { token: testSecret("a") }, other: 1 },
      { token: "a" },
      null,
    ];
    for (const input of wrong) {
      await expectCode(channelConfigs.set("sentry", input as ChannelConfigInput), "VALIDATION");
    }
    expect(await channelConfigs.get("sentry")).toBeNull();
    expect(await audit.verify()).toMatchObject({ size: 0 });
  });
});
