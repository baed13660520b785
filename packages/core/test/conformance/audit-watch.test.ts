import { expect, onTestFinished, test } from "vitest";
import type { Audit, AuditEntry, AuditStream } from "../../src/index.ts";
import { openBackend } from "../../src/storage/create-storage.ts";
import { storageHandle } from "../../src/storage/domains/handle.ts";
import { administration } from "../support/administration.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

/** Takes so many entries, then stops. */
async function take(stream: AuditStream, count: number): Promise<AuditEntry[]> {
  const entries: AuditEntry[] = [];
  if (count === 0) return entries;
  for await (const entry of stream) if (entries.push(entry) === count) break;
  return entries;
}

const { signal } = new AbortController();
const onTargetsOfTheirOwn = { targetPerTest: true, everyLogin: true, otherProcesses: true };

describeEachBackend("watching the trail", { everyLogin: true }, (backend) => {
  test("gives each new entry once, in order, whoever appends", async () => {
    const storage = backend.open();
    const { audit } = storage;
    await audit.append({ action: "test.before" });
    const seen = take(audit.watch({ after: 0, signal }), 260);
    // What is sealed with a change counts too.
    await storage.projects.create({ id: "shop", name: "Shop" });
    await storage.memory.set("agent-1", "key", 1, { record: true });
    for (let n = 0; n < 6; n += 1)
      await Promise.all(Array.from({ length: 43 }, () => audit.append({ action: "test.after" })));
    const entries = await seen;
    expect(entries.map(({ seq }) => seq)).toEqual(Array.from({ length: 260 }, (_, n) => n + 1));
    expect(entries[0]).toEqual(await audit.get(1));
  });

  test("begins at the end of the trail as it was when it was called, or behind any entry", async () => {
    const { audit } = backend.open();
    for (let n = 0; n < 3; n += 1) await audit.append({ action: "test.before" });
    const stream = audit.watch({ signal });
    let seen: number | undefined;
    const watching = take(stream, 2).then((entries) => {
      seen = entries[0]?.seq;
      return entries;
    });
    // What is appended before it has looked where the trail ends isn't new to it.
    while (seen === undefined) await audit.append({ action: "test.after" });
    const [first = -1, second] = (await watching).map(({ seq }) => seq);
    expect(first).toBeGreaterThanOrEqual(3);
    expect(second).toBe(first + 1);
    // What is read twice is given twice.
    expect((await take(stream, 1)).map(({ seq }) => seq)).toEqual([first]);
    for (const [after, seqs] of [
      [-1, [0, 1, 2, 3]],
      [1, [2, 3]],
    ] as const) {
      const entries = await take(audit.watch({ after, signal }), seqs.length);
      expect(entries.map(({ seq }) => seq)).toEqual(seqs);
    }
  });

  test("ends without an error when its signal fires, also while it waits", async () => {
    const { audit } = backend.open();
    await audit.append({ action: "test.before" });
    const stopping = new AbortController();
    const seen: number[] = [];
    const watching = (async () => {
      for await (const { seq } of audit.watch({ after: -1, signal: stopping.signal }))
        seen.push(seq);
    })();
    const next = audit.watch({ after: 0, signal: stopping.signal })[Symbol.asyncIterator]();
    const waiting = next.next();
    while (seen.length === 0) await new Promise(setImmediate);
    stopping.abort();
    expect(await waiting).toEqual({ done: true, value: undefined });
    await watching;
    expect(seen).toEqual([0]);
    expect(await take(audit.watch({ signal: AbortSignal.abort() }), 1)).toEqual([]);
  });

  test("is woken by other handles of the process, and only by its own organisation", async () => {
    const watching = take(backend.open().audit.watch({ after: -1, signal }), 2);
    const others = backend.open(`${backend.orgId}-other`);
    await others.audit.append({ action: "test.theirs" });
    const writing = backend.open();
    await writing.audit.append({ action: "test.one" });
    await writing.audit.append({ action: "test.two" });
    expect((await watching).map(({ action }) => action)).toEqual(["test.one", "test.two"]);
  });

  test("costs no more readings the more watch the same trail", async () => {
    const port = openBackend(backend.options());
    onTestFinished(() => port.close());
    let readings = 0;
    const listAudit: typeof port.listAudit = (...args) => {
      readings += 1;
      return port.listAudit(...args);
    };
    const counting = new Proxy(port, {
      get: (target, name) => {
        const value: unknown = name === "listAudit" ? listAudit : Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const lease = {
      backend: counting,
      maxValueBytes: 1024,
      clock: () => backend.clock.nowMs,
      assertOpen: () => undefined,
      release: async () => undefined,
    };
    const { audit } = storageHandle(lease, backend.orgId, { type: "system", id: "test" });
    const [watchers, appends] = [40, 10];
    const streams = Array.from({ length: watchers }, () =>
      audit.watch({ after: -1, signal: new AbortController().signal })[Symbol.asyncIterator](),
    );
    for (let seq = 0; seq < appends; seq += 1) {
      const given = streams.map((stream) => stream.next());
      await audit.append({ action: "test.shared" });
      for (const { value } of await Promise.all(given)) expect(value?.seq).toBe(seq);
    }
    await Promise.all(streams.map((stream) => stream.return?.()));
    expect(readings).toBeLessThan((watchers * appends) / 4);
  });

  test("ends with an error when its handle is closed", async () => {
    const keeping = backend.open();
    await keeping.audit.append({ action: "test.before" });
    const storage = backend.open();
    const waiting = storage.audit.watch({ after: 0, signal })[Symbol.asyncIterator]().next();
    waiting.catch(() => undefined);
    await storage.close();
    await expectCode(waiting, "UNSUPPORTED");
  });

  test("refuses what it can't begin at", async () => {
    const { audit } = backend.open();
    for (const options of [
      { after: -2, signal },
      { after: 0.5, signal },
      {},
      { signal, afte: 1 },
    ]) {
      await expectCode(take(audit.watch(options as never), 1), "VALIDATION");
    }
  });
});

describeEachBackend("watching a trail that is erased", onTargetsOfTheirOwn, (backend) => {
  const watch = (audit: Audit, after: number) =>
    audit.watch({ after, signal })[Symbol.asyncIterator]();

  test("ends with an error, and whoever watches anew sees what comes in its place", async () => {
    const { storage, deployment } = administration(backend);
    const { audit } = storage;
    await audit.append({ action: "test.before" });
    const waiting = expectCode(watch(audit, 0).next(), "NOT_FOUND");
    await deployment.organisations.erase(backend.orgId, { confirm: backend.orgId });
    await waiting;
    const anew = watch(audit, -1).next();
    await audit.append({ action: "test.after" });
    expect((await anew).value).toMatchObject({ seq: 0, action: "test.after" });
  });

  test("isn't read again and again for what it was known to hold", async () => {
    const { storage, deployment } = administration(backend);
    const { audit } = storage;
    const first = watch(audit, -1);
    const given = first.next();
    for (let n = 0; n < 3; n += 1) await audit.append({ action: "test.before" });
    await given;
    await deployment.organisations.erase(backend.orgId, { confirm: backend.orgId });
    // It neither waits, since there was more, nor finds it.
    await expectCode(watch(audit, 0).next(), "NOT_FOUND");
  });

  test("gives nothing of a longer one that takes its place", async () => {
    const { storage, deployment } = administration(backend);
    const { audit } = storage;
    for (let n = 0; n < 2; n += 1) await audit.append({ action: "test.before" });
    const watching = watch(audit, 0);
    expect((await watching.next()).value?.seq).toBe(1);
    await deployment.organisations.erase(backend.orgId, { confirm: backend.orgId });
    for (let n = 0; n < 4; n += 1) await audit.append({ action: "test.after" });
    await expectCode(watching.next(), "NOT_FOUND");
  });
});
