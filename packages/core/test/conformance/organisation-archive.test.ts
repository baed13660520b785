import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { testSecret } from "../../../../tooling/secrets.ts";
import { deploymentOrgId } from "../../src/index.ts";
import { tableNames } from "../../src/storage/tables.ts";
import { administration, archiveOf, contents, fillAll } from "../support/administration.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

const onTargetsOfTheirOwn = { targetPerTest: true, otherProcesses: true };

async function* inPieces(archive: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(archive);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

type Line = Record<string, unknown>;
const linesOf = (archive: string): Line[] =>
  archive
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);

describeEachBackend("an organisation's archive", onTargetsOfTheirOwn, (backend) => {
  test("holds all of it, and says at its end what it holds", async () => {
    await fillAll(backend);
    const { storage, deployment } = administration(backend);
    const archive = await archiveOf(deployment, backend.orgId);
    await storage.close();
    const held = await contents(backend, backend.orgId);
    const lines = linesOf(archive);
    const [header, closing] = [lines.shift(), lines.pop()];
    expect(header).toEqual({
      format: "codespar.organisation/1",
      organisation: backend.orgId,
      exportedAt: backend.clock.iso(),
    });
    const counts = Object.fromEntries(
      Object.entries(held).map(([name, rows]) => [name, rows.length]),
    );
    expect(Math.min(...Object.values(counts))).toBeGreaterThan(0);
    const before = archive.slice(0, archive.lastIndexOf('{"end"'));
    expect(closing).toEqual({
      end: true,
      counts,
      trail: {
        log: expect.stringMatching(/^codespar\/log\//),
        size: counts["audit_log"],
        head: held["audit_log"]?.map((entry) => (entry as Line)["hash"]).at(-1),
      },
      sha256: createHash("sha256").update(before).digest("hex"),
    });
    for (const name of [...tableNames, "audit_log"])
      expect(lines.filter(({ table }) => table === name)).toHaveLength(counts[name] ?? 0);
    // That it was made is in it; secrets in clear and others' data aren't.
    expect(lines.at(-1)?.["leaf"]).toContain('"action":"organisation.exported"');
    expect(lines.at(-1)?.["leaf"]).toContain('"id":"operator"');
    expect(archive).not.toContain(`sentry of ${backend.orgId}`);
    expect(archive).not.toContain(`${backend.orgId}-b`);
    expect(JSON.stringify(lines.find(({ key }) => key === "odd"))).toContain("\\ud800");
  });

  test("is taken over where the organisation holds nothing, and is the same again", async () => {
    await fillAll(backend);
    const { storage, deployment } = administration(backend);
    const archive = await archiveOf(deployment, backend.orgId);
    const verified = await storage.audit.verify();
    await storage.close();
    const before = await contents(backend, backend.orgId);

    const again = administration(backend);
    const read = () => inPieces(archive, 1000);
    await expectCode(again.deployment.organisations.import(backend.orgId, read), "ALREADY_EXISTS");
    await again.deployment.organisations.erase(backend.orgId, { confirm: backend.orgId });
    await expectCode(
      again.deployment.organisations.import(`${backend.orgId}-c`, read),
      "VALIDATION",
    );
    const report = await again.deployment.organisations.import(backend.orgId, read);
    expect(report).toMatchObject({
      orgId: backend.orgId,
      rows: Object.values(before).reduce((sum, rows) => sum + rows.length, 0),
    });
    const credentials = await again.storage.channelConfigs.getCredentials("sentry");
    expect(credentials?.["token"]?.reveal()).toBe(testSecret(`sentry of ${backend.orgId}`));
    expect(await again.storage.audit.verify()).toMatchObject({
      verdict: verified.verdict,
      firstFailure: null,
      size: verified.size + 2,
    });
    // Another organisation can't take what came with it.
    await expectCode(
      again.storage.forOrg(`${backend.orgId}-c`).slackInstallations.set({
        teamId: `T-${backend.orgId}`,
        tokens: { botToken: testSecret() },
      }),
      "ALREADY_EXISTS",
    );
    await again.storage.close();
    const after = await contents(backend, backend.orgId);
    const entries = after["audit_log"]?.splice(verified.size) as { leaf: string }[];
    expect(after).toEqual(before);
    expect(entries.map(({ leaf }) => (JSON.parse(leaf) as Line)["action"])).toEqual([
      "organisation.imported",
      "secret.read",
    ]);
  });

  test("that was cut or changed is refused before anything is written", async () => {
    const { storage, deployment } = administration(backend);
    const { organisations } = deployment;
    await storage.memory.set("a", "k", { text: "value" }, { record: true });
    await storage.channelConfigs.set("sentry", { credentials: { token: testSecret() } });
    const archive = await archiveOf(deployment, backend.orgId);
    await organisations.erase(backend.orgId, { confirm: backend.orgId });
    const lines = archive.split("\n");
    const without = (n: number) => lines.filter((_, i) => i !== n).join("\n");
    const swapped = [...lines];
    [swapped[1], swapped[2]] = [swapped[2] ?? "", swapped[1] ?? ""];
    const broken = [
      "",
      "\n",
      "[]",
      "not json",
      '{"format":"something else"}',
      ...lines.slice(0, -1).map((_, n) => lines.slice(0, n).join("\n")),
      ...lines.slice(0, -1).map((_, n) => without(n)),
      swapped.join("\n"),
      `${archive}{}\n`,
      archive.replace("value", "valuE"),
      archive.replace('"organisation":"', '"organisation":"x'),
      archive.replace('"end":true', '"end":false'),
      archive.replace('"counts":{', '"counts":{"subscribers":1,'),
      archive.slice(0, -3),
      archive.replace(/"head":"../, '"head":"xx'),
      archive.replace(/,"trail":{.*?}/, ""),
    ];
    for (const [i, each] of broken.entries()) {
      const call = organisations.import(backend.orgId, () => inPieces(each, 700));
      await call.then(
        () => expect.fail(`archive ${i} was taken`),
        (error: unknown) => expect(error, String(i)).toMatchObject({ code: "VALIDATION" }),
      );
    }
    const newer = archive.replace("codespar.organisation/1", "codespar.organisation/2");
    await expectCode(
      organisations.import(backend.orgId, () => inPieces(newer, 700)),
      "UNSUPPORTED",
    );
    expect(await organisations.get(backend.orgId)).toBeNull();
    await organisations.import(backend.orgId, () => inPieces(archive, 1));
    expect(await storage.memory.get("a", "k")).toEqual({ text: "value" });
  });

  test("isn't taken over where another organisation has its Slack workspace", async () => {
    const { storage, deployment } = administration(backend);
    const { organisations } = deployment;
    const tokens = { botToken: testSecret() };
    await storage.slackInstallations.set({ teamId: "T1", tokens });
    await storage.apiKeys.create({ name: "ci", scopes: ["admin"] });
    await storage.memory.set("a", "k", 1);
    const archive = await archiveOf(deployment, backend.orgId);
    await organisations.erase(backend.orgId, { confirm: backend.orgId });
    const other = storage.forOrg(`${backend.orgId}-b`).slackInstallations;
    await other.set({ teamId: "T1", tokens });
    const read = () => inPieces(archive, 100);
    await expectCode(organisations.import(backend.orgId, read), "ALREADY_EXISTS");
    expect(await organisations.get(backend.orgId)).toBeNull();
    await other.delete({ teamId: "T1" });
    await organisations.import(backend.orgId, read);
    expect(await storage.slackInstallations.get({ teamId: "T1" })).not.toBeNull();
  });

  test("isn't taken over as what is the deployment's own", async () => {
    const { storage, deployment } = administration(backend);
    await storage.memory.set("a", "k", 1);
    const archive = await archiveOf(deployment, backend.orgId);
    for (const own of [deploymentOrgId, "codespar/unfinished-move"]) {
      const renamed = archive.replaceAll(JSON.stringify(backend.orgId), JSON.stringify(own));
      const imported = deployment.organisations.import(own, () => inPieces(renamed, 700));
      await expectCode(imported, "UNSUPPORTED");
    }
  });

  test("of nothing doesn't exist", async () => {
    const { deployment, storage } = administration(backend);
    await expectCode(deployment.organisations.export(backend.orgId), "NOT_FOUND");
    expect((await storage.audit.list()).items).toEqual([]);
  });
});
