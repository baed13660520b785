import { type AuditEntry, type Storage, StorageError } from "@codespar/core";
import { expect, it } from "vitest";
import type { EventStream } from "../../src/events/event-stream.ts";
import { follow } from "../../src/events/follow.ts";

/** A trail whose reading ends as the test says, once per reading. */
function trailThat(...endings: readonly (Error | null)[]) {
  const asked: (number | undefined)[] = [];
  const watch = async function* ({ after = -1 }: { after?: number }) {
    asked.push(after);
    const ending = endings[asked.length - 1];
    yield { seq: after + 1 } as AuditEntry;
    yield { seq: after + 2 } as AuditEntry;
    if (ending instanceof Error) throw ending;
  };
  return { asked, audit: { watch } as unknown as Storage["audit"] };
}

function stream() {
  const sent: string[] = [];
  const { signal } = new AbortController();
  const send = async (block: string) => void sent.push(block);
  return { sent, stream: { signal, send } as unknown as EventStream };
}

it("goes on behind the last entry after an outage, and ends at what waiting doesn't cure", async () => {
  const { asked, audit } = trailThat(
    new StorageError("UNAVAILABLE", "the database restarts"),
    new StorageError("CORRUPTION", "a byte flipped"),
  );
  const { sent, stream: to } = stream();
  await expect(follow(to, audit, 4)).rejects.toThrow("a byte flipped");
  expect(asked).toEqual([4, 6]);
  expect(sent).toEqual(
    [5, 6, 7, 8].map((seq) => `id: ${seq}\nevent: audit\ndata: {"seq":${seq}}\n\n`),
  );
});
