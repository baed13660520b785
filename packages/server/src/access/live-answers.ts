import type { ServerResponse } from "node:http";

/** An answer on its way to the holder of a key. */
interface LiveAnswer {
  readonly response: ServerResponse;
  /** Whether the key still allows it. @throws when that can't be told now */
  readonly isAllowed: () => Promise<boolean>;
}

/** Milliseconds between two looks: with what a process may rely on having read, a key's end shows within a second. */
const lookMs = 400;

/**
 * Breaks off answers that are still being sent when their key ends: streams of events and exports may take for ever. One timer for all of them,
 * which sleeps while there are none.
 */
export class LiveAnswers {
  readonly #answers = new Set<LiveAnswer>();
  #timer: NodeJS.Timeout | undefined;

  watch(response: ServerResponse, isAllowed: () => Promise<boolean>): void {
    const answer = { response, isAllowed };
    this.#answers.add(answer);
    response.once("close", () => this.#forget(answer));
    this.#timer ??= setInterval(() => this.#look(), lookMs).unref();
  }

  #look(): void {
    for (const answer of this.#answers) {
      // What hasn't begun ends by itself, and soon.
      if (answer.response.headersSent) void this.#check(answer);
    }
  }

  async #check({ response, isAllowed }: LiveAnswer): Promise<void> {
    try {
      if (!(await isAllowed())) response.destroy();
    } catch {
      // As long as the storage can't be asked, it gives nothing out either.
    }
  }

  #forget(answer: LiveAnswer): void {
    this.#answers.delete(answer);
    if (this.#answers.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
