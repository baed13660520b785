import { KeyRing, moveStorage } from "@codespar/core";
import { Worker } from "../harness/worker.ts";
import type { Context } from "../scenarios/scenario.ts";
import type { TrailWorker } from "../workers/trail.ts";

/** A trail of one organisation, on files and in a database. */
export interface Trails {
  readonly entries: number;
  readonly files: { readonly directory: string; readonly encryptionKey: string };
  readonly database: { readonly databaseUrl: string; readonly encryptionKey: string };
}

/** A process that works on trails. */
export function trailWorker(): Worker<TrailWorker> {
  return new Worker<TrailWorker>(new URL("../workers/trail.js", import.meta.url));
}

/**
 * Makes a trail of so many entries, which the last one of them is signed over: appended on files and moved to PostgreSQL, which is the fastest way to
 * real ones.
 */
export async function makeTrails(context: Context, entries: number): Promise<Trails> {
  const encryptionKey = KeyRing.generate();
  const files = { directory: await context.folder(), encryptionKey };
  context.progress(`appending ${entries} entries on files`);
  {
    await using worker = trailWorker();
    // The signing key's announcement is one of them.
    await worker.call("fill", { place: files, entries: entries - 1 });
  }
  context.progress("moving them to PostgreSQL");
  const { url: databaseUrl } = await (await context.postgres()).createMigrated();
  await moveStorage({ from: { directory: files.directory }, to: { databaseUrl }, encryptionKey });
  return { entries, files, database: { databaseUrl, encryptionKey } };
}
