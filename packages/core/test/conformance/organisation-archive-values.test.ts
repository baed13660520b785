import { expect, test } from "vitest";
import { testSecret } from "../../../../tooling/secrets.ts";
import type { Deployment, Storage } from "../../src/index.ts";
import { administration, archiveOf } from "../support/administration.ts";
import { type ArchiveLine, relinked, sealedArchive } from "../support/archives.ts";
import { describeEachBackend, type TestBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

/** An archive in parts that can be changed. */
class Archive {
  readonly lines: string[];
  readonly closing: ArchiveLine;

  constructor(archive: string) {
    this.lines = archive.trimEnd().split("\n");
    this.closing = JSON.parse(this.lines.pop() ?? "") as ArchiveLine;
  }

  /** The number of a table's first line. */
  number(table: string): number {
    return this.lines.findIndex((line) => line.startsWith(`{"table":"${table}"`)) + 1;
  }

  /** With other members in a table's first line. */
  with(table: string, members: ArchiveLine): string {
    return this.edited(table, (line) =>
      JSON.stringify({ ...(JSON.parse(line) as ArchiveLine), ...members }),
    );
  }

  edited(table: string, edit: (line: string) => string): string {
    const at = this.number(table) - 1;
    return this.sealed(this.lines.map((line, i) => (i === at ? edit(line) : line)));
  }

  sealed(lines: readonly string[]): string {
    return sealedArchive(lines, this.closing);
  }
}

async function fill(storage: Storage): Promise<void> {
  const secrets = { token: testSecret() };
  await storage.memory.set("coder", "a", { text: "value" });
  await storage.memory.set("coder", "b", 1);
  await storage.agentStates.set("coder", { status: "active" });
  await storage.apiKeys.create({ name: "ci", scopes: ["read", "admin"] });
  await storage.channelConfigs.set("sentry", { credentials: secrets });
  await storage.projects.create({ id: "p1", name: "One", repository: "o/r" });
  await storage.projects.create({ id: "p2", name: "Two" });
  await storage.projectConfigs.link("coder", { repository: "o/r" });
  await storage.slackInstallations.set({ teamId: "T1", tokens: secrets });
  await storage.subscribers.subscribe("reader@example.org");
  await storage.audit.append({ action: "deploy.started", details: { to: "production" } });
  await storage.audit.checkpoint();
}

async function madeOn(backend: TestBackend): Promise<{ archive: Archive; deployment: Deployment }> {
  const { storage, deployment } = administration(backend);
  await fill(storage);
  const archive = new Archive(await archiveOf(deployment, backend.orgId));
  await deployment.organisations.erase(backend.orgId, { confirm: backend.orgId });
  return { archive, deployment };
}

const reader = (archive: string) =>
  async function* () {
    yield archive;
  };

/** A table's first line with other values, and what is said of it. */
const wrongValues: [table: string, members: ArchiveLine, said: RegExp][] = [
  [
    "agent_memory",
    { agent_id: null },
    /agent_memory: agent_id is wrong: expected string, received null/,
  ],
  ["agent_memory", { key: "\u0000" }, /key must not hold control characters/],
  [
    "agent_memory",
    { value: JSON.parse("[".repeat(65) + "]".repeat(65)) },
    /value must nest at most 64/,
  ],
  ["agent_memory", { value: "x".repeat(1024 * 1024) }, /value must be at most 1048576 bytes/],
  ["agent_memory", { version: "a b" }, /version must be 1 to 64 letters, digits, -, _ or \./],
  [
    "agent_memory",
    { created_at: "2026-02-30T00:00:00.000Z" },
    /created_at must be an instant in UTC/,
  ],
  ["agent_memory", { expires_at: "2026-01-01T00:00:00Z" }, /expires_at must be an instant in UTC/],
  ["agent_memory", { more: 1 }, /agent_memory has no "more", which stands in it/],
  ["agent_states", { status: "asleep" }, /status is wrong: .*"active"/],
  ["agent_states", { autonomy_level: 6 }, /autonomy_level is wrong: Too big/],
  [
    "agent_states",
    { autonomy_level: "3" },
    /autonomy_level is wrong: expected number, received string/,
  ],
  ["agent_states", { expires_at: "2999-01-01T00:00:00.000Z" }, /expires_at must be null/],
  ["api_keys", { hash: "0".repeat(63) }, /hash must be a SHA-256/],
  ["api_keys", { hash: "A".repeat(64) }, /hash must be a SHA-256/],
  ["api_keys", { id: "key-1" }, /id must be a UUID/],
  ["api_keys", { scopes: ["read", "everything"] }, /scopes must be one of read, write/],
  ["api_keys", { scopes: ["admin", "read"] }, /scopes must be scopes in their order/],
  ["api_keys", { scopes: "read" }, /scopes is wrong: expected array/],
  ["api_keys", { created_by: "ada" }, /created_by must be an actor as type:id/],
  ["audit_anchors", { size: "0000000000000001" }, /a size of which there is no checkpoint/],
  ["audit_checkpoints", { size: "0000000000000001" }, /note isn't a checkpoint of this size/],
  ["audit_checkpoints", { note: "none" }, /note is not a signed note/],
  ["audit_keys", { generation: "1" }, /generation must be 8 decimal digits/],
  ["audit_keys", { generation: "00002000" }, /too many keys before this one/],
  ["audit_keys", { vkey: "none" }, /vkey must be a verifier key/],
  ["audit_keys", { seed: null }, /a key has its seed until it is retired/],
  ["channel_configs", { credentials: "in clear" }, /credentials must be sealed/],
  ["channel_configs", { credential_names: ["b", "a"] }, /credential_names must be sorted/],
  ["channel_configs", { settings: [] }, /settings must be an object/],
  ["project_configs", { owner: "other" }, /are of no one repository/],
  ["project_configs", { webhook_configured: null }, /webhook_configured is wrong/],
  ["projects", { slug: "Not One" }, /slug must be lower-case letters/],
  ["projects", { slug: "two" }, /another one has this slug/],
  ["projects", { repository: "o/r" }, /repository must be the https URL/],
  ["slack_installations", { route: "team:T2" }, /route isn't that of the workspace/],
  ["subscribers", { email: "nobody" }, /email must be an e-mail address/],
  ["subscribers", { status: null }, /status is wrong/],
  ["audit_log", { seq: 1 }, /entry 1: .*missing/],
  ["audit_log", { hash: "0".repeat(64) }, /entry 0: .*its bytes have the hash/],
  ["audit_log", { leaf: "{}" }, /another trail|canonical/],
  [
    "audit_log",
    { parts: [{ name: "details", salt: "", body: "1" }] },
    /parts.0.salt must be 32 bytes/,
  ],
  ["audit_log", { parts: null }, /parts is wrong/],
];

/** Line numbers of what is said of a line that comes later, where two contradict each other. */
const lineOf = (archive: Archive, table: string, members: ArchiveLine): number =>
  archive.number(table) + (members["slug"] === "two" ? 1 : 0);

const suite = { targetPerTest: true, otherProcesses: true };

describeEachBackend("an archive with wrong values", suite, (backend) => {
  async function refused(deployment: Deployment, archive: string): Promise<string> {
    const { orgId } = backend;
    const { message } = await expectCode(
      deployment.organisations.import(orgId, reader(archive)),
      "VALIDATION",
    );
    expect(await deployment.organisations.get(orgId)).toBeNull();
    return message;
  }

  test("is refused with the line and what is wrong, before anything is written", async () => {
    const { archive, deployment } = await madeOn(backend);
    for (const [table, members, said] of wrongValues) {
      const message = await refused(deployment, archive.with(table, members));
      expect(message).toMatch(said);
      const number = lineOf(archive, table, members);
      expect(message).toContain(`Line ${number} of the archive can't be taken over: `);
    }
    await deployment.organisations.import(backend.orgId, reader(archive.sealed(archive.lines)));
  });

  test("is refused in few words, whatever its values are", async () => {
    const { archive, deployment } = await madeOn(backend);
    const second = archive.number("audit_log");
    const lines = archive.lines.map((line, i) =>
      i === second ? line.replace(/(?<=ts[^0-9]+)[0-9T:.-]+Z/, "z".repeat(20_000)) : line,
    );
    const forged = archive.sealed(relinked(lines));
    expect(forged.length).toBeGreaterThan(10_000);
    const message = await refused(deployment, forged);
    expect(message).toMatch(/entry 1: its time of sealing is .*…\. Export it again\.$/u);
    expect(message.length).toBeLessThan(1000);
  });

  test("is refused for lines that stand twice or in the wrong place", async () => {
    const { archive, deployment } = await madeOn(backend);
    const { lines } = archive;
    const first = archive.number("agent_memory") - 1;
    const [a = "", b = ""] = lines.slice(first, first + 2);
    const others = lines.filter((line) => line !== a && line !== b);
    const [header = "", ...rest] = others;
    const entries = rest.filter((line) => line.startsWith('{"table":"audit_log"'));
    const records = rest.filter((line) => !entries.includes(line));
    const twice: [string[], RegExp][] = [
      [[header, a, a, b, ...rest], /^Line 3 .* a record of agent_memory stands twice/],
      [[header, b, a, ...rest], /^Line 3 .* aren't in the order of their keys/],
      [[header, a, ...rest, b], /^Line \d+ .* agent_memory comes before audit_log/],
      [[header, ...entries, ...records], /^Line \d+ .* comes before audit_log/],
      [[header, a, ...rest, rest.at(-1) ?? ""], /^Line \d+ .* stands where entry/],
      [[header, a, "{", ...rest], /^Line 3 .* no JSON object/],
      [[header, a, "", ...rest], /^Line 3 .* no JSON object/],
      [[header, a, '{"table":"users"}', ...rest], /^Line 3 .* no table that an archive has/],
      [[header, a.replace('"key":', '"key":"z","key":'), ...rest], /^Line 2 .* stands twice in it/],
    ];
    for (const [changed, said] of twice)
      expect(await refused(deployment, archive.sealed(changed))).toMatch(said);
    // An id twice, in a trail that hangs together otherwise.
    const unsigned = lines.filter((line) => !/^\{"table":"audit_(?!log)/.test(line));
    const copied = relinked([...unsigned, unsigned.at(-1) ?? ""]);
    expect(await refused(deployment, archive.sealed(copied))).toMatch(/the id of an entry before/);
    const other = unsigned.map((line) => line.replace("deploy.started", "Deploy Started"));
    expect(await refused(deployment, archive.sealed(relinked(other)))).toMatch(
      /entry \d+: action /,
    );
  });

  test("is refused for what its last line says", async () => {
    const { archive, deployment } = await madeOn(backend);
    const whole = archive.sealed(archive.lines);
    const last = archive.lines.length + 1;
    const claims: [RegExp, string, RegExp][] = [
      [/"size":\d+/, '"size":3', /trail\.size is 3, there are/],
      [/"head":"[0-9a-f]+"/, `"head":"${"0".repeat(64)}"`, /trail\.head isn't/],
      [/"log":"codespar[^"]+"(?=,"size")/, '"log":"codespar/log/0"', /trail\.log isn't/],
      [/"log":"codespar[^"]+"(?=,"size")/, '"log":null', /trail\.log isn't/],
      [/"projects":2/, '"projects":3', /counts\.projects is 3, there are 2/],
      [/"projects":2,/, "", /counts\.projects is 0, there are 2/],
      [/"counts":\{/, '"counts":{"users":1,', /counts/],
      [/"end":true/, '"end":true,"more":1', /"more"/],
      [/"sha256":"../, '"sha256":"xx', /checksum/],
    ];
    for (const [claim, other, said] of claims) {
      const [before, closing] = [whole.lastIndexOf("\n{"), whole.slice(whole.lastIndexOf("\n{"))];
      const message = await refused(
        deployment,
        whole.slice(0, before) + closing.replace(claim, other),
      );
      expect(message).toMatch(said);
      expect(message).toContain(`Line ${last} of the archive `);
    }
    expect(await refused(deployment, "")).toMatch(/empty/);
    const cut = `${archive.lines.join("\n")}\n`;
    expect(await refused(deployment, cut)).toContain(`cut off behind line ${last - 1}`);
    expect(await refused(deployment, `${whole}x`)).toContain(`Line ${last + 1} of the archive`);
  });

  test("is refused for a line that isn't UTF-8 or has no end", async () => {
    const { archive, deployment } = await madeOn(backend);
    const read = async function* () {
      yield `${archive.lines[0]}\n`;
      yield Uint8Array.of(0x22, 0xff, 0x22, 0x0a);
    };
    const endless = async function* () {
      yield `${archive.lines[0]}\n`;
      for (;;) yield "x".repeat(1024 * 1024);
    };
    const { organisations } = deployment;
    const utf8 = await expectCode(organisations.import(backend.orgId, read), "VALIDATION");
    expect(utf8.message).toMatch(/^Line 2 .* isn't UTF-8/);
    const long = await expectCode(organisations.import(backend.orgId, endless), "VALIDATION");
    expect(long.message).toMatch(/^Line 2 .* more than \d+ bytes/);
  });

  test("is not stored where it only becomes one while it is imported", async () => {
    const { archive, deployment } = await madeOn(backend);
    const { organisations } = deployment;
    const { orgId } = backend;
    const whole = archive.sealed(archive.lines);
    const others = [
      archive.with("agent_memory", { value: "other" }),
      archive.with("agent_states", { status: "asleep" }),
      archive.with("audit_log", { hash: "0".repeat(64) }),
      archive.with("audit_checkpoints", { note: "none" }),
      whole.slice(0, whole.length / 2),
      `${archive.lines[0]}\n`,
      whole.replace('{"table":"projects"', `${"x".repeat(100_000)}\n{"table":"projects"`),
    ];
    for (const other of others) {
      let reads = 0;
      const changing = async function* () {
        reads += 1;
        yield reads === 1 ? whole : other;
      };
      const { message } = await expectCode(organisations.import(orgId, changing), "VALIDATION");
      expect(message).toMatch(/changed while it was imported.* erase the organisation/);
      // The first line that was changed is of the first step.
      if (other === others[0]) expect(await organisations.get(orgId)).toBeNull();
      const part = await organisations.get(orgId);
      // No key works in a part of an organisation.
      expect(part?.tables.api_keys).toBeUndefined();
      if (part !== null) await organisations.erase(orgId, { confirm: orgId });
    }
    await organisations.import(orgId, reader(whole));
  });

  test("is taken over with versions of the form that they had before", async () => {
    const { archive, deployment } = await madeOn(backend);
    const { orgId } = backend;
    const version = "3q2-7_AAaz09xy.1z";
    const before = archive.with("agent_memory", { version });
    await deployment.organisations.import(orgId, reader(before));
    expect((await backend.open().memory.getEntry("coder", "a"))?.version).toBe(version);
  });
});
