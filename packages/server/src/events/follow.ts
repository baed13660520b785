import { setTimeout as sleep } from "node:timers/promises";
import { type AuditEntry, type Storage, StorageError } from "@codespar/core";
import type { EventStream } from "./event-stream.ts";

/** Milliseconds until what can pass is tried again. */
const retryMs = 1000;

/**
 * Sends the trail's entries behind `after` as they are sealed, each once and in order, until the stream ends. While the storage can't be
 * reached it waits: nothing is left out afterwards.
 *
 * @throws StorageError what waiting doesn't cure
 */
export async function follow(
  stream: EventStream,
  audit: Storage["audit"],
  after: number,
): Promise<void> {
  const { signal } = stream;
  let last = after;
  for (;;) {
    try {
      for await (const entry of audit.watch({ after: last, signal })) {
        await stream.send(blockOf(entry));
        last = entry.seq;
      }
      return;
    } catch (error) {
      if (signal.aborted) return;
      if (!StorageError.is(error) || !error.retryable) throw error;
    }
    await sleep(retryMs, undefined, { signal, ref: false }).catch(() => undefined);
  }
}

/**
 * How a stream begins: after how many milliseconds to reconnect when it breaks, not all at the same moment, and from where although no
 * entry has come yet. An event, since many clients forget an `id` that comes without one.
 */
export function preamble(after: number): string {
  const retry = 1000 + Math.floor(Math.random() * 2000);
  return `retry: ${retry}\nid: ${after}\nevent: ready\ndata: {"after":${after}}\n\n`;
}

/** JSON text has no line breaks. */
function blockOf(entry: AuditEntry): string {
  return `id: ${entry.seq}\nevent: audit\ndata: ${JSON.stringify(entry)}\n\n`;
}
