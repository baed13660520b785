import { Agent, request } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { deploymentOrgId, Secret, type Storage, StorageError } from "@codespar/core";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testKey, testSecret } from "../../../../tooling/secrets.ts";
import { backends } from "../support/backends.ts";
import { bearer, makeKey } from "../support/callers.ts";
import { Contract, type Operation } from "../support/contract.ts";
import type { Answer } from "../support/http.ts";
import { serveOn, type TestServer } from "../support/server.ts";
import { type Attack, attacks, fuzzedOrgId } from "./arbitraries.ts";

const rounds = Number(process.env["CODESPAR_TEST_ROUNDS"] ?? 1);
/** Requests for each operation, on each backend. */
const runs = 30 * rounds;
/** A short run repeats itself, so that a change is told from luck; longer ones look further, each elsewhere. */
const seed = rounds === 1 ? { seed: 1 } : {};
/** Operations attacked at a time. */
const width = 4;
/** What the heap may grow by in the second half of all requests; each of them leaves nothing. */
const heapSlackBytes = 24 * 1024 * 1024;

const bystander = "bystander";
const adminKey = testKey();

/** Fills an organisation, unless it still is from before. */
async function fill(storage: Storage): Promise<void> {
  if (await storage.memory.has("known", "known")) return;
  await storage.memory.set("known", "known", { text: "known" });
  await storage.agentStates.set("known", { name: "Known" });
  await storage.projects.create({ id: "known", name: "Known" });
  await storage.projectConfigs.link("known", { repository: "github/docs" });
  await storage.channelConfigs.set("known", { credentials: { token: testSecret() } });
  await storage.audit.append({ action: "test.filled" });
}

/** All that an organisation holds, but for what the trail says of a rotation, which seals everyone's secrets anew. */
async function everythingOf(storage: Storage): Promise<string> {
  const entries = [];
  for await (const entry of storage.audit.list({ order: "asc" })) {
    if (entry.action !== "secrets.rotated") entries.push(entry);
  }
  const lists = await Promise.all([
    storage.memory.list("known"),
    storage.agentStates.list(),
    storage.projects.list(),
    storage.projectConfigs.list(),
    storage.channelConfigs.list(),
    storage.slackInstallations.list(),
    storage.apiKeys.list(),
  ]);
  return JSON.stringify([entries, ...lists]);
}

/** An operation, and what is sent to it. */
interface Target {
  readonly what: string;
  readonly operation: Operation;
  readonly attack: fc.Arbitrary<Attack>;
}

/** Whether only the operator's key does it. */
function isOperators({ security }: Operation): boolean {
  return security.some(({ apiKey }) => apiKey.includes("operator"));
}

/** The organisation that `/api/orgs/ID` names; `null` when that isn't an id in percent-encoding. */
function namedIn(path: string): string | null {
  const [segment = ""] = path.replace("/api/orgs/", "").split(/[?/]/);
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}

function collectGarbage(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().heapUsed;
}

describe.each(backends)("whatever is sent to $name", (backend) => {
  const agent = new Agent({ keepAlive: true, maxSockets: width });
  let server: TestServer;
  let contract: Contract;
  /** Of whoever may send it: the operator, or the organisation that is fuzzed. */
  let callers: { readonly operator: string; readonly organisation: string };
  let sent = 0;
  const statuses = new Map<number, number>();
  /** The operator's operations that did something. */
  const operated = new Set<string>();

  beforeAll(async () => {
    server = await serveOn(backend, {
      rateLimits: { perKey: 0, perAddress: 0 },
      adminKey: new Secret(adminKey),
    });
    contract = new Contract(server.description);
    for (const orgId of [fuzzedOrgId, bystander]) await fill(server.storage.forOrg(orgId));
    callers = {
      operator: bearer(adminKey).authorization,
      organisation: bearer((await makeKey(server.storage, fuzzedOrgId)).token).authorization,
    };
  });
  afterAll(async () => {
    agent.destroy();
    await server.close();
  });

  /** Sends one; `null` where the connection was cut, by us. */
  function send(attack: Attack, authorization: string): Promise<Answer | null> {
    sent += 1;
    return new Promise((resolve, reject) => {
      const { method, path, body, sending } = attack;
      const length = body !== null && { "content-length": String(body.length) };
      const headers = { authorization, ...attack.headers, ...length };
      const outgoing = request(server.origin, { method, path, headers, agent }, (incoming) => {
        // A stream of events has no end.
        if (incoming.headers["content-type"] === "text/event-stream") {
          resolve({ status: 200, headers: incoming.headers, text: "", json: undefined });
          outgoing.destroy();
          return;
        }
        text(incoming).then((content) => {
          const isJson = /[/+]json(?:;|$)/.test(incoming.headers["content-type"] ?? "");
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            text: content,
            json: isJson && content !== "" ? (JSON.parse(content) as unknown) : undefined,
          });
        }, reject);
      });
      outgoing.on("error", (error: NodeJS.ErrnoException) => {
        // What is refused before it has arrived may be answered by closing.
        if (sending === "cut" || error.code === "EPIPE" || error.code === "ECONNRESET")
          resolve(null);
        else reject(error);
      });
      if (body === null || sending === "whole") outgoing.end(body ?? undefined);
      else void inPieces(body, sending === "cut");
      async function inPieces(bytes: Buffer, cut: boolean): Promise<void> {
        for (let i = 0; i < 4; i += 1) {
          if (outgoing.destroyed) return;
          outgoing.write(bytes.subarray((i * bytes.length) / 4, ((i + 1) * bytes.length) / 4));
          await sleep(1);
          if (cut && i === 1) return void outgoing.destroy();
        }
        outgoing.end();
      }
    });
  }

  it(
    "it answers as it says, breaks nothing, and touches nobody else",
    async () => {
      const before = await everythingOf(server.storage.forOrg(bystander));
      const operations = Object.entries(server.description.paths).flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, operation]) => ({
          what: `${method} ${path}`,
          operation,
          attack: attacks(server.description, path, method, operation),
        })),
      );
      const half = Math.floor(operations.length / 2);
      await assault(operations.slice(0, half));
      const heap = collectGarbage();
      await assault(operations.slice(half));
      expect((await server.call({ path: "/livez" })).status).toBe(200);
      expect(await everythingOf(server.storage.forOrg(bystander))).toBe(before);
      // Files are kept in this process's memory, and so is what the requests have stored.
      if (backend.name === "postgres") expect(collectGarbage() - heap).toBeLessThan(heapSlackBytes);
      expect(Object.keys(Object.prototype)).toEqual([]);
      await expectOperated(operations);
      // Neither all refused nor all taken: then little was tried.
      const taken = (statuses.get(200) ?? 0) + (statuses.get(201) ?? 0) + (statuses.get(204) ?? 0);
      expect(taken).toBeGreaterThan(sent / 20);
      expect(statuses.get(400)).toBeGreaterThan(sent / 20);
      const counts = [...statuses]
        .sort(([a], [b]) => a - b)
        .map(([status, n]) => `${status}: ${n}`);
      process.stdout.write(`fuzzed on ${backend.name}: ${sent} requests (${counts.join(", ")})\n`);
    },
    60_000 * rounds + 120_000,
  );

  /** Everything that is the operator's was done at least once, and every erasure that was begun came to an end. */
  async function expectOperated(operations: readonly Target[]): Promise<void> {
    const theirs = operations.filter(({ operation }) => isOperators(operation));
    expect([...operated].sort()).toEqual(theirs.map((each) => each.operation.operationId).sort());
    const trail = server.storage.forOrg(deploymentOrgId).audit;
    expect((await trail.list({ unresolved: true })).items).toEqual([]);
    // What was sealed anew opens as before.
    const { channelConfigs } = server.storage.forOrg(bystander);
    const credentials = await channelConfigs.getCredentials("known");
    expect(credentials?.["token"]?.reveal()).toBe(testSecret());
  }

  async function assault(operations: readonly Target[]): Promise<void> {
    const waiting = [...operations];
    const worker = async () => {
      for (let each = waiting.pop(); each !== undefined; each = waiting.pop()) {
        const target = each;
        const property = fc.asyncProperty(target.attack, (one) => strike(target, one));
        await fc.assert(property, { numRuns: runs, endOnFailure: true, ...seed });
      }
    };
    await Promise.all(Array.from({ length: width }, worker));
  }

  async function strike({ what, operation }: Target, attack: Attack): Promise<void> {
    if (operation.operationId === "eraseOrganisation") await makeVictim(attack);
    const caller = isOperators(operation) ? callers.operator : callers.organisation;
    const answer = await send(attack, caller);
    if (answer === null) return;
    judge(what, attack, answer);
    if (isOperators(operation) && answer.status < 300) operated.add(operation.operationId);
  }

  /** What an erasure may hit is made for it: the organisation that it names, if there can be one. */
  async function makeVictim({ path }: Attack): Promise<void> {
    const orgId = namedIn(path);
    expect([fuzzedOrgId, bystander]).not.toContain(orgId);
    try {
      if (orgId !== null && orgId !== deploymentOrgId) await fill(server.storage.forOrg(orgId));
    } catch (error) {
      if (!StorageError.is(error, "VALIDATION") && !StorageError.is(error, "LIMIT_EXCEEDED"))
        throw error;
    }
  }

  function judge(what: string, { method, path }: Attack, answer: Answer): void {
    const { status } = answer;
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    if (status >= 500 && status !== 503) throw new Error(`${what}: ${status} ${answer.text}`);
    if (answer.text.includes("node_modules") || answer.text.includes("    at "))
      throw new Error(`${what} shows its inside: ${answer.text}`);
    if (answer.headers["content-type"] === "text/event-stream") return;
    contract.check({ method, path }, answer);
  }
});
