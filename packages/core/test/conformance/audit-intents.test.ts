import { expect, test } from "vitest";
import type { Storage } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

const deploy = {
  action: "deploy.started",
  actor: { type: "agent", id: "deployer" },
  target: { type: "service", id: "web" },
  agent: { id: "deployer", run: "run-1" },
  project: "shop",
  risk: "high",
} as const;

async function unresolved({ audit }: Storage): Promise<number[]> {
  return (await audit.list({ unresolved: true, order: "asc" })).items.map(({ seq }) => seq);
}

describeEachBackend("intents", (backend) => {
  test("stand open until an outcome under their correlation id says what became of them", async () => {
    const storage = backend.open();
    const { audit } = storage;
    const intent = await audit.intent({ ...deploy, details: { version: 2 } });
    expect(intent).toMatchObject({ ...deploy, outcome: "pending", correlationId: intent.id });
    const other = await audit.intent({ ...deploy, correlationId: "c-2" });
    expect(await unresolved(storage)).toEqual([intent.seq, other.seq]);
    const outcome = await audit.outcome(intent, "success", { details: { took: 3 } });
    expect(outcome).toMatchObject({
      ...deploy,
      outcome: "success",
      correlationId: intent.id,
      details: { took: 3 },
    });
    expect(await unresolved(storage)).toEqual([other.seq]);
    await audit.outcome(other.id, "failure");
    expect(await unresolved(storage)).toEqual([]);
  });

  test("are resolved by the first outcome; a contradicting one is an entry like any other", async () => {
    const storage = backend.open();
    const { audit } = storage;
    const intent = await audit.intent(deploy);
    const first = await audit.outcome(intent, "success");
    const second = await audit.outcome(intent, "failure");
    expect(await unresolved(storage)).toEqual([]);
    const said = audit.list({ correlationId: intent.id, order: "asc" });
    expect((await said).items).toEqual([intent, first, second]);
    expect(await audit.verify()).toMatchObject({ firstFailure: null });
  });

  test("pass on to the outcome what it doesn't say itself", async () => {
    const { audit } = backend.open();
    const intent = await audit.intent(deploy);
    const said = {
      action: "deploy.refused",
      actor: { type: "user", id: "ada" },
      target: { type: "service", id: "api" },
      agent: { id: "reviewer" },
      project: "other",
      risk: "low",
    } as const;
    expect(await audit.outcome(intent, "denied", said)).toMatchObject({
      ...said,
      outcome: "denied",
    });
    const more = { project: undefined, details: 1 } as never;
    expect(await audit.outcome(intent, "error", more)).toMatchObject({ ...deploy, details: 1 });
  });

  test("sent again with their id are the same intent", async () => {
    const { audit } = backend.open();
    const id = "0190163d-8694-739b-aea5-966c26f8ad91";
    const intent = await audit.intent({ ...deploy, id });
    expect(await audit.intent({ ...deploy, id })).toEqual(intent);
    const again = { id: "0190163d-8694-739b-aea5-966c26f8ad92" };
    const outcome = await audit.outcome(id, "success", again);
    expect(await audit.outcome(id, "success", again)).toEqual(outcome);
    await expectCode(audit.outcome(id, "failure", again), "ALREADY_EXISTS");
  });

  test("are what an outcome needs", async () => {
    const { audit } = backend.open();
    const plain = await audit.append({ action: "test.plain" });
    const pending = await audit.append({ action: "test.plain", outcome: "pending" });
    const intent = await audit.intent(deploy);
    await expectCode(audit.outcome(plain, "success"), "VALIDATION");
    await expectCode(audit.outcome(pending, "success"), "VALIDATION");
    await expectCode(audit.outcome("0190163d-8694-739b-aea5-966c26f8ad91", "success"), "NOT_FOUND");
    await expectCode(audit.outcome("nobody", "success"), "VALIDATION");
    await expectCode(audit.outcome(intent, "pending" as never), "VALIDATION");
    await expectCode(audit.outcome(intent, "won" as never), "VALIDATION");
    await expectCode(
      audit.outcome(intent, "success", { correlationId: "x" } as never),
      "VALIDATION",
    );
    await expectCode(audit.intent({ ...deploy, outcome: "success" } as never), "VALIDATION");
    const theirs = backend.open(`${backend.orgId}-other`).audit;
    await expectCode(theirs.outcome(intent, "success"), "NOT_FOUND");
  });
});
