import { expect, test } from "vitest";
import type { RepositoryLinkInput } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

describeEachBackend("linked repositories", { everyLogin: true }, (backend) => {
  test("a link keeps the repository, the branch, the webhook, and who linked it when", async () => {
    const storage = backend.open().as({ type: "user", id: "u-1" });
    const now = backend.clock.iso();
    const link = await storage.projectConfigs.link("agent", { repository: "acme/app" });
    expect(link).toEqual({
      agentId: "agent",
      repositoryUrl: "https://github.com/acme/app",
      host: "github.com",
      owner: "acme",
      name: "app",
      defaultBranch: "main",
      webhookConfigured: false,
      webhookId: null,
      linkedAt: now,
      linkedBy: "u-1",
      version: expect.any(String),
      createdAt: now,
      updatedAt: now,
    });
    expect(await storage.projectConfigs.get("agent")).toEqual(link);
    expect((await storage.projectConfigs.list()).items).toEqual([link]);
  });

  test("every accepted form of one repository is the same link", async () => {
    const { projectConfigs } = backend.open();
    const forms = [
      "https://gitlab.com/acme/team/app",
      "https://gitlab.com/acme/team/app.git",
      "https://gitlab.com/acme/team/app/",
      "http://www.gitlab.com/acme/team/app",
      "https://gitlab.com:443/acme/team/app.git",
      "ssh://git@gitlab.com/acme/team/app.git",
      "git@gitlab.com:acme/team/app.git",
      "  git@GitLab.com:acme/team/app ",
    ];
    for (const [n, repository] of forms.entries()) {
      expect(await projectConfigs.link(`agent ${n}`, { repository })).toMatchObject({
        repositoryUrl: "https://gitlab.com/acme/team/app",
        host: "gitlab.com",
        owner: "acme/team",
        name: "app",
      });
    }
  });

  test("a second link without unlinking is ALREADY_EXISTS", async () => {
    const { projectConfigs, audit } = backend.open();
    const first = await projectConfigs.link("agent", { repository: "acme/app" });
    const again = projectConfigs.link("agent", { repository: "acme/other" });
    expect((await expectCode(again, "ALREADY_EXISTS")).message).toMatch(/unlink/i);
    await expectCode(projectConfigs.link("agent", { repository: "acme/app" }), "ALREADY_EXISTS");
    expect(await projectConfigs.get("agent")).toEqual(first);
    expect(await audit.verify()).toMatchObject({ size: 1 });
    expect(await projectConfigs.unlink("agent")).toBe(true);
    expect(await projectConfigs.unlink("agent")).toBe(false);
    expect(await projectConfigs.link("agent", { repository: "acme/other" })).toMatchObject({
      name: "other",
    });
  });

  test("of 16 links at once, one is made", async () => {
    const { projectConfigs } = backend.open();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 16 }, (_, n) =>
        projectConfigs.link("agent", { repository: `acme/app-${n}` }),
      ),
    );
    const linked = outcomes.flatMap((outcome) =>
      outcome.status === "fulfilled" ? [outcome.value] : [],
    );
    expect(linked).toHaveLength(1);
    expect(await projectConfigs.get("agent")).toEqual(linked[0]);
  });

  test("branch and webhook change without unlinking", async () => {
    const { projectConfigs } = backend.open();
    const link = await projectConfigs.link("agent", {
      repository: "acme/app",
      defaultBranch: "trunk",
    });
    backend.clock.advance(1000);
    const updated = await projectConfigs.update("agent", {
      webhookConfigured: true,
      webhookId: "42",
    });
    expect(updated).toEqual({
      ...link,
      webhookConfigured: true,
      webhookId: "42",
      version: updated.version,
      updatedAt: backend.clock.iso(),
    });
    expect(await projectConfigs.update("agent", { webhookId: null })).toMatchObject({
      webhookId: null,
      webhookConfigured: true,
      defaultBranch: "trunk",
    });
    await expectCode(projectConfigs.update("other", {}), "NOT_FOUND");
  });

  test("what isn't acceptable is refused", async () => {
    const { projectConfigs } = backend.open();
    const wrong: unknown[] = [
      {},
      { repository: "" },
      { repository: "acme" },
      { repository: "acme/app/extra" },
      { repository: "https://example.com/acme/app" },
      { repository: "https://github.com/acme/app?tab=readme" },
      { repository: "../etc/passwd" },
      { repository: "acme/.." },
      { repository: "acme/app\u0000" },
      { repository: "acme/a b" },
      { repository: null },
      { repository: "https://github.com:8443/acme/app" },
      { repository: "acme/app", defaultBranch: "" },
      { repository: "acme/app", defaultBranch: "a branch" },
      { repository: "acme/app", defaultBranch: "main..next" },
      { repository: "acme/app", defaultBranch: "main.lock" },
      { repository: "acme/app", webhookConfigured: "yes" },
      { repository: "acme/app", webhookId: 42 },
      { repository: "acme/app", linkedBy: "" },
      { repository: "acme/app", branch: "main" },
      null,
      "acme/app",
    ];
    for (const input of wrong) {
      await expectCode(projectConfigs.link("agent", input as RepositoryLinkInput), "VALIDATION");
    }
    expect(await projectConfigs.get("agent")).toBeNull();
    await projectConfigs.link("agent", { repository: "acme/app" });
    for (const patch of [
      { repository: "acme/other" },
      { linkedBy: "me" },
      { defaultBranch: null },
      { defaultBranch: "/main" },
    ]) {
      await expectCode(projectConfigs.update("agent", patch as object), "VALIDATION");
    }
  });

  test("credentials in the URL are refused, and not repeated", async () => {
    const { projectConfigs, projects } = backend.open();
    for (const userinfo of ["user:s3cret", "s3cret", ":s3cret"]) {
      const repository = `https://${userinfo}@github.com/acme/app`;
      const link = await expectCode(projectConfigs.link("agent", { repository }), "VALIDATION");
      const project = await expectCode(projects.create({ name: "P", repository }), "VALIDATION");
      for (const { message } of [link, project]) {
        expect(message).toContain("credentials");
        expect(message).not.toContain("s3cret");
      }
    }
  });
});
