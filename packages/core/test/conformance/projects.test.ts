import { expect, test } from "vitest";
import type { ProjectInput } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

const uuidv7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describeEachBackend("projects", { everyLogin: true }, (backend) => {
  test("are created with an id and slug of their own", async () => {
    const { projects } = backend.open();
    const now = backend.clock.iso();
    const project = await projects.create({ name: "Grüne Wiese & Söhne 2" });
    expect(project).toEqual({
      id: expect.stringMatching(uuidv7),
      name: "Grüne Wiese & Söhne 2",
      slug: "grune-wiese-sohne-2",
      repository: null,
      agentId: null,
      version: expect.any(String),
      createdAt: now,
      updatedAt: now,
    });
    expect(await projects.get(project.id)).toEqual(project);
    expect(await projects.getBySlug(project.slug)).toEqual(project);
    expect(await projects.get("other")).toBeNull();
    expect(await projects.getBySlug("other")).toBeNull();
  });

  test("bring their repository into one form", async () => {
    const { projects } = backend.open();
    const project = await projects.create({
      name: "App",
      repository: "git@gitlab.com:acme/team/app.git",
      agentId: "agent",
    });
    expect(project).toMatchObject({
      repository: "https://gitlab.com/acme/team/app",
      agentId: "agent",
    });
    expect(await projects.update(project.id, { repository: null, agentId: null })).toMatchObject({
      repository: null,
      agentId: null,
      name: "App",
    });
  });

  test("have ids and slugs that nobody else in the organisation has", async () => {
    const storage = backend.open();
    const { projects } = storage;
    await projects.create({ id: "one", name: "One", slug: "first" });
    await expectCode(
      projects.create({ id: "one", name: "Other", slug: "other" }),
      "ALREADY_EXISTS",
    );
    await expectCode(projects.create({ id: "two", name: "First" }), "ALREADY_EXISTS");
    expect(await projects.get("two")).toBeNull();
    await projects.create({ id: "two", name: "Two" });
    await expectCode(projects.update("two", { slug: "first" }), "ALREADY_EXISTS");
    expect(await projects.get("two")).toMatchObject({ slug: "two" });
    expect(await storage.audit.verify()).toMatchObject({ size: 2 });
    await storage
      .forOrg(`${backend.orgId}-b`)
      .projects.create({ id: "one", name: "One", slug: "first" });
  });

  test("free their slug when they go or take another", async () => {
    const { projects } = backend.open();
    await projects.create({ id: "one", name: "One", slug: "a" });
    await projects.update("one", { slug: "b" });
    await projects.create({ id: "two", name: "Two", slug: "a" });
    await projects.delete("one");
    await projects.update("two", { slug: "b" });
    expect(await projects.getBySlug("a")).toBeNull();
    expect(await projects.getBySlug("b")).toMatchObject({ id: "two" });
    // Its own slug again is no clash.
    await projects.update("two", { slug: "b", name: "Two again" });
  });

  test("swap their slugs only one after the other", async () => {
    const storage = backend.open();
    await storage.projects.create({ id: "one", name: "One", slug: "a" });
    await storage.projects.create({ id: "two", name: "Two", slug: "b" });
    const clash = storage.transaction(async (tx) => {
      await tx.projects.update("one", { slug: "c" });
      await tx.projects.update("two", { slug: "c" });
    });
    await expectCode(clash, "ALREADY_EXISTS");
    expect(await storage.projects.getBySlug("a")).toMatchObject({ id: "one" });
    expect(await storage.projects.getBySlug("b")).toMatchObject({ id: "two" });
  });

  test("of 16 that want one slug at once, one gets it", async () => {
    const { projects } = backend.open();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 16 }, (_, n) => projects.create({ id: `p${n}`, name: "Same" })),
    );
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") {
        expect(outcome.reason).toMatchObject({ code: "ALREADY_EXISTS" });
      }
    }
    expect((await projects.list()).items).toHaveLength(1);
  });

  test("are renamed without changing the slug", async () => {
    const { projects } = backend.open();
    const created = await projects.create({ id: "one", name: "One" });
    backend.clock.advance(1000);
    const renamed = await projects.rename("one", "Number one");
    expect(renamed).toEqual({
      ...created,
      name: "Number one",
      version: renamed.version,
      updatedAt: backend.clock.iso(),
    });
    await expectCode(projects.rename("two", "Two"), "NOT_FOUND");
    await expectCode(projects.update("two", {}), "NOT_FOUND");
  });

  test("are removed", async () => {
    const { projects } = backend.open();
    await projects.create({ id: "one", name: "One" });
    expect(await projects.delete("one")).toBe(true);
    expect(await projects.delete("one")).toBe(false);
    expect(await projects.get("one")).toBeNull();
    expect((await projects.list()).items).toEqual([]);
  });

  test("that aren't acceptable are refused", async () => {
    const { projects, audit } = backend.open();
    const wrong: unknown[] = [
      {},
      { name: "" },
      { name: "日本" }, // no slug can be made of it
      { name: "ok", slug: "Not-Lower" },
      { name: "ok", slug: "-a" },
      { name: "ok", slug: "a--b" },
      { name: "ok", slug: "a_b" },
      { name: "ok", slug: "" },
      { name: "ok", slug: "x".repeat(65) },
      { name: "ok", repository: "not a repository" },
      { name: "ok", repository: "https://example.com/a/b" },
      { name: "ok", repository: 5 },
      { name: "ok", agentId: "" },
      { name: "ok", unknown: true },
      { name: 5 },
      null,
      "name",
    ];
    for (const input of wrong)
      await expectCode(projects.create(input as ProjectInput), "VALIDATION");
    await projects.create({ id: "one", name: "One" });
    for (const patch of [{ id: "two" }, { slug: null }, { name: null }, null]) {
      await expectCode(projects.update("one", patch as object), "VALIDATION");
    }
    await expectCode(projects.getBySlug("Not a slug"), "VALIDATION");
    expect(await projects.create({ id: "jp", name: "日本", slug: "x".repeat(64) })).toMatchObject({
      name: "日本",
    });
    expect(await audit.verify()).toMatchObject({ size: 2 });
  });
});
