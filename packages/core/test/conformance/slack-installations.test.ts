import { expect, test } from "vitest";
import { testSecret } from "../../../../tooling/secrets.ts";
import type { SlackInstallationInput, SlackInstallationQuery } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

describeEachBackend("Slack installations", { everyLogin: true }, (backend) => {
  /** Slack's ids are unique in the whole deployment, so each test has its own. */
  const id = (kind: "T" | "E", n = 0) => `${kind}${backend.orgId}${n}`;

  test("of a workspace keep everything but show no token", async () => {
    const { slackInstallations } = backend.open();
    const now = backend.clock.iso();
    const installation = await slackInstallations.set({
      teamId: id("T"),
      enterpriseId: id("E"),
      teamName: "Acme",
      appId: "A1",
      botUserId: "U1",
      scopes: ["chat:write", "commands"],
      tokens: {
        userToken: testSecret("token of the user"),
        botToken: testSecret("token of the bot"),
      },
    });
    expect(installation).toEqual({
      teamId: id("T"),
      enterpriseId: id("E"),
      isEnterpriseInstall: false,
      teamName: "Acme",
      appId: "A1",
      botUserId: "U1",
      scopes: ["chat:write", "commands"],
      tokenNames: ["botToken", "userToken"],
      installedAt: now,
      version: expect.any(String),
      createdAt: now,
      updatedAt: now,
    });
    expect(await slackInstallations.get({ teamId: id("T") })).toEqual(installation);
    expect((await slackInstallations.list()).items).toEqual([installation]);
    const tokens = await slackInstallations.getTokens({ teamId: id("T") });
    expect(Object.keys(tokens ?? {}).toSorted()).toEqual(["botToken", "userToken"]);
    expect(tokens?.["botToken"]?.reveal()).toBe(testSecret("token of the bot"));
  });

  test("a missing one is null, whichever way it is asked for", async () => {
    const { slackInstallations } = backend.open();
    for (const query of [
      { teamId: id("T") },
      { enterpriseId: id("E"), isEnterpriseInstall: true },
    ]) {
      expect(await slackInstallations.get(query)).toBeNull();
      expect(await slackInstallations.getTokens(query)).toBeNull();
      expect(await slackInstallations.delete(query)).toBe(false);
    }
  });

  test("of an enterprise go by the enterprise also when a query names a team", async () => {
    const { slackInstallations } = backend.open();
    await slackInstallations.set({
      enterpriseId: id("E"),
      isEnterpriseInstall: true,
      tokens: { botToken: testSecret("enterprise") },
    });
    await slackInstallations.set({
      teamId: id("T"),
      enterpriseId: id("E"),
      tokens: { botToken: testSecret("team") },
    });
    const query: SlackInstallationQuery = {
      teamId: id("T"),
      enterpriseId: id("E"),
      isEnterpriseInstall: true,
    };
    expect((await slackInstallations.getTokens(query))?.["botToken"]?.reveal()).toBe(
      testSecret("enterprise"),
    );
    const team = { ...query, isEnterpriseInstall: false };
    expect((await slackInstallations.getTokens(team))?.["botToken"]?.reveal()).toBe(
      testSecret("team"),
    );
    expect(await slackInstallations.delete(query)).toBe(true);
    expect(await slackInstallations.get(team)).not.toBeNull();
    expect(await slackInstallations.get({ enterpriseId: id("E") })).toBeNull();
  });

  test("a team and an enterprise with one id are two installations", async () => {
    const { slackInstallations } = backend.open();
    const same = id("T");
    await slackInstallations.set({ teamId: same, tokens: { t: testSecret("team") } });
    await slackInstallations.set({
      enterpriseId: same,
      isEnterpriseInstall: true,
      tokens: { t: testSecret("enterprise") },
    });
    expect((await slackInstallations.getTokens({ teamId: same }))?.["t"]?.reveal()).toBe(
      testSecret("team"),
    );
    expect((await slackInstallations.getTokens({ enterpriseId: same }))?.["t"]?.reveal()).toBe(
      testSecret("enterprise"),
    );
  });

  test("installing again replaces tokens and keeps since when", async () => {
    const { slackInstallations } = backend.open();
    const first = await slackInstallations.set({
      teamId: id("T"),
      teamName: "A",
      tokens: { a: testSecret("1"), b: testSecret("2") },
    });
    backend.clock.advance(1000);
    const second = await slackInstallations.set({
      teamId: id("T"),
      tokens: { c: testSecret("3") },
    });
    expect(second).toMatchObject({
      tokenNames: ["c"],
      teamName: null,
      installedAt: first.installedAt,
      createdAt: first.createdAt,
      updatedAt: backend.clock.iso(),
    });
    expect(Object.keys((await slackInstallations.getTokens({ teamId: id("T") })) ?? {})).toEqual([
      "c",
    ]);
  });

  test("belong to one organisation of the deployment at a time", async () => {
    const one = backend.open();
    const other = one.forOrg(`${backend.orgId}-other`);
    const query = { teamId: id("T") };
    const input = { ...query, tokens: { t: testSecret("one") } };
    await one.slackInstallations.set(input);
    const taken = other.slackInstallations.set({ ...input, tokens: { t: testSecret("other") } });
    expect((await expectCode(taken, "ALREADY_EXISTS")).message).not.toContain(backend.orgId);
    expect(await other.slackInstallations.get(query)).toBeNull();
    expect(await other.audit.verify()).toMatchObject({ size: 0 });
    await one.slackInstallations.set(input);
    await one.slackInstallations.delete({ teamId: id("T") });
    await other.slackInstallations.set({ ...input, tokens: { t: testSecret("other") } });
    await expectCode(one.slackInstallations.set(input), "ALREADY_EXISTS");
    expect((await other.slackInstallations.getTokens(query))?.["t"]?.reveal()).toBe(
      testSecret("other"),
    );
  });

  test("that two organisations make at once go to one of them, also after reopening", async () => {
    const one = backend.open();
    const orgs = Array.from({ length: 8 }, (_, n) => one.forOrg(`${backend.orgId}-${n}`));
    const outcomes = await Promise.allSettled(
      orgs.map((org) =>
        org.slackInstallations.set({ teamId: id("T"), tokens: { t: testSecret(org.orgId) } }),
      ),
    );
    const winners = orgs.filter((_, n) => outcomes[n]?.status === "fulfilled");
    expect(winners).toHaveLength(1);
    await one.close();
    const again = backend.open();
    const late = again
      .forOrg(`${backend.orgId}-late`)
      .slackInstallations.set({ teamId: id("T"), tokens: { t: testSecret("late") } });
    await expectCode(late, "ALREADY_EXISTS");
    const tokens = await again
      .forOrg(winners[0]?.orgId ?? "")
      .slackInstallations.getTokens({ teamId: id("T") });
    expect(tokens?.["t"]?.reveal()).toBe(testSecret(winners[0]?.orgId));
  });

  test("that name neither team nor enterprise, or hold what isn't text, are refused", async () => {
    const { slackInstallations, audit } = backend.open();
    const tokens = { t: testSecret() };
    const wrong: unknown[] = [
      { tokens },
      { teamId: "", tokens },
      { isEnterpriseInstall: true, teamId: id("T"), tokens },
      { teamId: id("T") },
      { teamId: id("T"), tokens: { t: 5 } },
      { teamId: id("T"), tokens: { t: null } },
      { teamId: id("T"), tokens: ["t"] },
      { teamId: id("T"), tokens: { t: `${testSecret()}\ud800` } },
      { teamId: id("T"), tokens: { "": testSecret() } },
      { teamId: id("T"), tokens, scopes: "chat:write" },
      { teamId: id("T"), tokens, botToken: "t" },
      { teamId: `${id("T")}\u0000`, tokens },
      null,
    ];
    for (const input of wrong) {
      await expectCode(slackInstallations.set(input as SlackInstallationInput), "VALIDATION");
    }
    for (const query of [
      {},
      { isEnterpriseInstall: true, teamId: id("T") },
      null,
      { team: id("T") },
    ]) {
      await expectCode(slackInstallations.get(query as object), "VALIDATION");
    }
    expect(await audit.verify()).toMatchObject({ size: 0 });
  });
});
