import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { testSecret } from "../../../../tooling/secrets.ts";
import { createStorage, deploymentOf, deploymentOrgId } from "../../src/index.ts";
import { expectCode } from "../support/expect-code.ts";
import { fillOrganisation } from "../support/organisations.ts";
import { temporaryFolder } from "./support.ts";

/** What can be wrong with the files of an organisation, each enough for it not to open. */
const damages: Readonly<Record<string, (folder: string) => Promise<void>>> = {
  "a table is not what was written": (folder) => overwrite(folder, "agent_memory.json"),
  "the journal is damaged before its end": async (folder) => {
    const names = await readdir(folder);
    await overwrite(folder, names.find((name) => name.startsWith("journal-")) ?? "");
  },
  "the trail is gone": (folder) => rm(join(folder, "audit_log.jsonl")),
  "the list of files is not what was written": (folder) => overwrite(folder, "snapshot.json"),
};

/** Two organisations, as a crash leaves them: with a snapshot, and a journal of several frames behind it. */
async function filled(): Promise<string> {
  const directory = await temporaryFolder();
  await using first = createStorage("acme", { directory });
  for (const orgId of ["acme", "beta"]) await fillOrganisation(first.forOrg(orgId), orgId);
  await first.close();
  await using second = createStorage("acme", { directory });
  for (let n = 0; n < 5; n += 1) await second.memory.set("coder", `later/${n}`, n);
  const copy = await temporaryFolder();
  await cp(directory, copy, { recursive: true });
  await rm(join(copy, "codespar.lock"));
  return copy;
}

async function overwrite(folder: string, name: string): Promise<void> {
  const path = join(folder, name);
  const bytes = await readFile(path);
  bytes.write("damaged", 10);
  await writeFile(path, bytes);
}

describe("an organisation whose files are damaged", () => {
  it.each(Object.entries(damages))("is erased where %s", async (_, damage) => {
    const directory = await filled();
    const folder = join(directory, "orgs", "acme");
    await damage(folder);
    await using storage = createStorage("acme", { directory });
    const { organisations } = deploymentOf(storage);
    await expectCode(storage.memory.get("coder", "plain"), "CORRUPTION");
    expect((await organisations.list()).items).toEqual([{ orgId: "acme" }, { orgId: "beta" }]);
    const steps: unknown[] = [];
    const report = await organisations.erase("acme", {
      confirm: "acme",
      onProgress: (step) => steps.push(step),
    });
    expect(report).toEqual({ orgId: "acme", resumed: false, removed: [], rows: 0, damaged: true });
    expect(steps).toEqual([]);
    expect(await readdir(join(directory, "orgs"))).not.toContain("acme");
    const { items } = await storage.forOrg(deploymentOrgId).audit.list();
    expect(items).toMatchObject([
      {
        action: "organisation.erased",
        outcome: "success",
        details: { organisation: "acme", removed: {}, damaged: true },
      },
      { action: "organisation.erased", outcome: "pending" },
    ]);
    // It begins anew, and what it had claimed is anybody's.
    expect(await storage.memory.get("coder", "plain")).toBeNull();
    await storage.memory.set("coder", "plain", "new");
    const beta = storage.forOrg("beta");
    await beta.slackInstallations.set({ teamId: "T-acme", tokens: { botToken: testSecret() } });
    expect(await beta.memory.get("coder", "plain")).toEqual({ text: "beta again" });
    expect((await beta.audit.verify()).firstFailure).toBeNull();
  });

  it("is erased once, and what is written meanwhile is whole", async () => {
    const directory = await filled();
    await overwrite(join(directory, "orgs", "acme"), "agent_memory.json");
    await using storage = createStorage("acme", { directory });
    const { organisations } = deploymentOf(storage);
    const erasing = Array.from({ length: 5 }, () =>
      organisations.erase("acme", { confirm: "acme" }),
    );
    const writing = Array.from({ length: 20 }, (_, n) =>
      storage.memory.set("coder", `k${n}`, n).then(
        () => n,
        () => null,
      ),
    );
    const reports = await Promise.allSettled(erasing);
    const written = (await Promise.all(writing)).filter((n) => n !== null);
    const damaged = reports.filter((each) => each.status === "fulfilled" && each.value.damaged);
    expect(damaged).toHaveLength(1);
    await storage.memory.set("coder", "after", 1);
    const { items } = await storage.memory.list("coder");
    await storage.close();
    await using again = createStorage("acme", { directory });
    expect((await again.memory.list("coder")).items).toEqual(items);
    expect(items.length).toBeLessThanOrEqual(written.length + 1);
  });

  it("stays as it is when files are opened read-only", async () => {
    const directory = await filled();
    const folder = join(directory, "orgs", "acme");
    await overwrite(folder, "agent_memory.json");
    await using storage = createStorage("acme", { directory, readOnly: true });
    const { organisations } = deploymentOf(storage);
    const before = await readdir(folder);
    await expectCode(organisations.erase("acme", { confirm: "acme" }), "UNSUPPORTED");
    expect(await readdir(folder)).toEqual(before);
  });
});
