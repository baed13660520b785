import { expect, test } from "vitest";
import { testSecret } from "../../../../tooling/secrets.ts";
import { deploymentOrgId, hasApiKeys } from "../../src/index.ts";
import type { Backend } from "../../src/storage/backend.ts";
import { eraseOrganisation } from "../../src/storage/deployment/erase-organisation.ts";
import { contextOf, type HandleContext } from "../../src/storage/domains/context.ts";
import {
  administration,
  archiveOf,
  contents,
  fillAll,
  idsOf,
  operator,
} from "../support/administration.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";
import { fillOrganisation } from "../support/organisations.ts";

const onTargetsOfTheirOwn = { targetPerTest: true, everyLogin: true, otherProcesses: true };

describeEachBackend("organisations", onTargetsOfTheirOwn, (backend) => {
  test("are listed and summed up", async () => {
    const { storage, deployment } = administration(backend);
    const { organisations } = deployment;
    expect((await organisations.list()).items).toEqual([]);
    expect(await organisations.get(backend.orgId)).toBeNull();
    const ids = [`${backend.orgId}é`, backend.orgId, `${backend.orgId}-b`];
    for (const orgId of ids) await storage.forOrg(orgId).memory.set("a", "k", 1, { record: true });
    await storage.memory.set("a", "l", 1);
    const inOrder = [ids[1], ids[2], ids[0]].map((orgId) => ({ orgId }));
    expect(await organisations.list()).toEqual({ items: inOrder, nextCursor: null });
    const paged: unknown[] = [];
    for await (const each of organisations.list({ limit: 1 })) paged.push(each);
    expect(paged).toEqual(inOrder);
    const last = await organisations.list({ limit: 2, reverse: true });
    expect(last.items).toEqual([inOrder[2], inOrder[1]]);
    const { nextCursor: cursor } = last;
    const rest = organisations.list({ reverse: true, ...(cursor !== null && { cursor }) });
    expect(await rest).toEqual({ items: [inOrder[0]], nextCursor: null });
    await expectCode(organisations.list({ limit: 0 }), "VALIDATION");
    await expectCode(organisations.list({ cursor: "else" }), "VALIDATION");
    expect(await organisations.get(backend.orgId)).toEqual({
      orgId: backend.orgId,
      tables: { agent_memory: 2, audit_log: 1 },
      rows: 3,
    });
    for (const orgId of ["", "a\u0000b", 5]) {
      await expectCode(organisations.get(orgId as string), "VALIDATION");
      await expectCode(organisations.export(orgId as string), "VALIDATION");
    }
  });
});

describeEachBackend("an organisation that is erased", onTargetsOfTheirOwn, (backend) => {
  test("leaves nothing, and nothing of others changes", async () => {
    await fillAll(backend);
    const [orgId = "", ...others] = idsOf(backend);
    const held = await contents(backend, orgId);
    const before = await Promise.all(others.map((other) => contents(backend, other)));
    const { storage, deployment } = administration(backend);
    const trails = others.map((id) => storage.forOrg(id).audit);
    const verified = await Promise.all(trails.map((trail) => trail.verify()));
    const proofs = await Promise.all(trails.map((trail) => trail.prove(3)));
    const steps: unknown[] = [];
    const report = await deployment.organisations.erase(orgId, {
      confirm: orgId,
      onProgress: (step) => steps.push(step),
    });
    const removed = Object.fromEntries(report.removed.map(({ table, rows }) => [table, rows]));
    const counts = Object.entries(held).map(([table, rows]) => [table, rows.length]);
    expect(removed).toEqual(Object.fromEntries(counts));
    expect(report).toMatchObject({ orgId, resumed: false, damaged: false });
    expect(report.rows).toBe(Object.values(removed).reduce((sum, rows) => sum + rows, 0));
    expect(steps.length).toBeGreaterThanOrEqual(report.removed.length);

    expect(await deployment.organisations.get(orgId)).toBeNull();
    expect((await deployment.organisations.list()).items.map((each) => each.orgId)).toEqual(others);
    expect(await storage.audit.verify()).toMatchObject({ size: 0 });
    // The workspace is free.
    const claiming = storage.forOrg(others[0] ?? "").slackInstallations;
    await claiming.set({ teamId: `T-${orgId}`, tokens: { botToken: testSecret() } });
    await claiming.delete({ teamId: `T-${orgId}` });
    // Receipts that were given out stay what they are, and the trails still lead to what they vouch for.
    for (const [i, trail] of trails.entries()) {
      const size = proofs[i]?.checkpoint.size ?? 0;
      expect(await trail.prove(3, { size })).toEqual(proofs[i]);
      expect((await trail.consistency(size)).from.root).toBe(proofs[i]?.checkpoint.root);
    }
    const again = await Promise.all(trails.map((trail) => trail.verify()));
    expect(again[0]).toMatchObject({ size: (verified[0]?.size ?? 0) + 2, firstFailure: null });
    expect(again[1]).toEqual(verified[1]);
    await storage.close();
    const after = await Promise.all(others.map((other) => contents(backend, other)));
    after[0]?.["audit_log"]?.splice(-2);
    expect(after).toEqual(before);
    // Its id is left in the deployment's own trail, which says that it was there.
    const everything = await backend.target.everythingStored();
    expect(everything).not.toContain(`${orgId} again`);
  });

  test("is told of by the deployment's own trail", async () => {
    const { storage, deployment } = administration(backend);
    await storage.memory.set("a", "k", 1, { record: true });
    await deployment.organisations.erase(backend.orgId, { confirm: backend.orgId });
    const own = storage.forOrg(deploymentOrgId).audit;
    const { items } = await own.list({ order: "asc" });
    expect(items).toMatchObject([
      {
        action: "organisation.erased",
        outcome: "pending",
        actor: operator,
        target: null,
        details: { organisation: backend.orgId },
      },
      {
        action: "organisation.erased",
        outcome: "success",
        actor: operator,
        details: { organisation: backend.orgId, removed: { agent_memory: 1, audit_log: 1 } },
      },
    ]);
    expect(items[0]?.correlationId).toBe(items[1]?.correlationId);
    expect(await own.verify()).toMatchObject({ size: 2, firstFailure: null });
    // It isn't an organisation of anybody's, and doesn't go.
    expect((await deployment.organisations.list()).items).toEqual([]);
    await expectCode(
      deployment.organisations.erase(deploymentOrgId, { confirm: deploymentOrgId }),
      "UNSUPPORTED",
    );
    expect(await archiveOf(deployment, deploymentOrgId)).toContain("organisation.erased");
  });

  test("leaves the deployment closed to callers without a key, if it was", async () => {
    const { storage, deployment } = administration(backend);
    await storage.memory.set("a", "k", 1);
    const erase = async () =>
      deployment.organisations.erase(backend.orgId, { confirm: backend.orgId });
    await erase();
    const open = async () => !(await hasApiKeys(storage));
    expect(await open()).toBe(true);
    for (let times = 0; times < 2; times++) {
      await storage.apiKeys.create({ name: "n", scopes: ["read"] });
      await erase();
    }
    await storage.close();
    // Another process, which remembers nothing of the keys.
    const later = backend.open();
    expect((await later.apiKeys.list()).items).toEqual([]);
    expect(await hasApiKeys(later)).toBe(true);
  });

  test("isn't, unless its id is confirmed and it is there", async () => {
    const { storage, deployment } = administration(backend);
    const { organisations } = deployment;
    await storage.memory.set("a", "k", 1);
    const { orgId } = backend;
    for (const options of [
      {},
      undefined,
      { confirm: "" },
      { confirm: `${orgId} ` },
      { confirm: true },
    ])
      await expectCode(organisations.erase(orgId, options as never), "VALIDATION");
    const other = `${orgId}-c`;
    await expectCode(organisations.erase(other, { confirm: other }), "NOT_FOUND");
    expect(await storage.memory.get("a", "k")).toBe(1);
    expect((await storage.forOrg(deploymentOrgId).audit.list()).items).toMatchObject([
      {
        action: "organisation.erased",
        outcome: "failure",
        details: { organisation: other, why: "not_found" },
      },
    ]);
  });
});

class Died extends Error {}

describeEachBackend("an erasure that dies", onTargetsOfTheirOwn, (backend) => {
  test("is gone on with, and told of once", async () => {
    const { storage, deployment } = administration(backend);
    const { orgId } = backend;
    await storage.memory.set("a", "k", 1, { record: true });
    const context = contextOf(storage.as(operator));
    const call = { now: backend.clock.nowMs };
    for (const moment of ["before", "after"]) {
      const dying: HandleContext = {
        ...context,
        backend: new Proxy(context.backend, {
          get: (target, name) => {
            const value: unknown = Reflect.get(target, name);
            if (typeof value !== "function") return value;
            if (name !== "eraseOrganisation") return value.bind(target);
            return async (...args: Parameters<Backend["eraseOrganisation"]>) => {
              if (moment === "after") await target.eraseOrganisation(...args);
              throw new Died();
            };
          },
        }),
      };
      await expect(
        eraseOrganisation(dying, orgId, call, { confirm: orgId }),
      ).rejects.toBeInstanceOf(Died);
    }
    const own = storage.forOrg(deploymentOrgId).audit;
    expect((await own.list({ unresolved: true })).items).toHaveLength(1);
    const report = await deployment.organisations.erase(orgId, { confirm: orgId });
    expect(report).toEqual({ orgId, resumed: true, removed: [], rows: 0, damaged: false });
    expect((await own.list()).items).toMatchObject([
      { outcome: "success", details: { organisation: orgId, resumed: true } },
      { outcome: "pending" },
    ]);
    await expectCode(deployment.organisations.erase(orgId, { confirm: orgId }), "NOT_FOUND");
    // An organisation of the same name begins anew, and can be erased like any.
    await storage.memory.set("a", "k", 1);
    const again = await deployment.organisations.erase(orgId, { confirm: orgId });
    expect(again).toMatchObject({ resumed: false, rows: 1 });
    const outcomes = (await own.list({ order: "asc" })).items.map(({ outcome }) => outcome);
    expect(outcomes).toEqual(["pending", "success", "failure", "pending", "success"]);
  });

  test.runIf(backend.kind === "postgres")("between two steps, too", async () => {
    const { storage, deployment } = administration(backend);
    const { orgId } = backend;
    await fillOrganisation(storage, orgId);
    const controller = new AbortController();
    const steps: string[] = [];
    await expectCode(
      deployment.organisations.erase(orgId, {
        confirm: orgId,
        signal: controller.signal,
        onProgress: ({ table }) => {
          steps.push(table);
          if (steps.length === 3) controller.abort();
        },
      }),
      "ABORTED",
    );
    expect(steps).toHaveLength(3);
    expect(await deployment.organisations.get(orgId)).not.toBeNull();
    const report = await deployment.organisations.erase(orgId, { confirm: orgId });
    expect(report.resumed).toBe(true);
    expect(await deployment.organisations.get(orgId)).toBeNull();
  });
});
