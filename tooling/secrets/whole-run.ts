import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addToTally } from "../tally-reporter.ts";
import { newMarker } from "./marker.ts";
import { processListing } from "./process-listing.ts";
import { removeScratch } from "./scratch.ts";
import { assertNoSecret, SecretFound } from "./search.ts";
import { StreamSearch } from "./stream-search.ts";

/** Counted as a test, and so named in the tally. */
const name = "what the whole run wrote holds no secret that a test stored";
const listingEveryMs = 1000;

/** The watch over what no single test sees. */
export interface WholeRun {
  /**
   * Looks in the rest and counts the result. Anything found fails the run.
   *
   * @param closeDatabase - ends the shared PostgreSQL server after a look at its files
   */
  end(closeDatabase: () => Promise<void>): Promise<void>;
}

/**
 * Makes the marker that tests put into their secrets, and watches for it from the process that runs them: in what vitest prints, in the process
 * listing, and in the end in the folders that no test has removed and in all files of the shared PostgreSQL server.
 */
export async function watchRun(): Promise<WholeRun> {
  process.env["CODESPAR_TEST_MARKER"] = newMarker();
  const folder = await mkdtemp(join(tmpdir(), "codespar-run-"));
  process.env["CODESPAR_TEST_FOLDER"] = folder;
  const problems = new Set<string>();
  const note = (error: unknown) => {
    if (!(error instanceof SecretFound)) throw error;
    problems.add(error.message);
  };
  const stop = [process.stdout, process.stderr].map((stream) => watchOutput(stream, note));
  const timer = setInterval(() => void lookAtProcesses().catch(note), listingEveryMs).unref();
  return {
    async end(closeDatabase) {
      clearInterval(timer);
      for (const each of stop) each();
      await lookAtProcesses().catch(note);
      await removeScratch(folder).catch(note);
      await closeDatabase().catch(note);
      addToTally(name, [...problems]);
      if (problems.size === 0) return;
      process.exitCode = 1;
      process.stderr.write(`\nFAILED: ${name}\n${[...problems].join("\n")}\n`);
    },
  };
}

async function lookAtProcesses(): Promise<void> {
  // A key on a command line was typed there, by a test of what happens then.
  assertNoSecret("the process listing", await processListing(), { apiKeys: true });
}

function watchOutput(stream: NodeJS.WriteStream, note: (error: unknown) => void): () => void {
  const search = new StreamSearch("the output of the run");
  const { write } = stream;
  stream.write = ((piece: string | Uint8Array, ...rest: []) => {
    try {
      search.add(Buffer.from(piece as string));
    } catch (error) {
      note(error);
    }
    return write.call(stream, piece, ...rest);
  }) as typeof write;
  return () => {
    stream.write = write;
  };
}
