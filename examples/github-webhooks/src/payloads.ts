import { createRequire } from "node:module";

/** One delivery as GitHub documents it. */
export interface Delivery {
  /** The event's name, for example `pull_request`. */
  readonly event: string;
  /** Its place among the examples of the event, from 0. */
  readonly index: number;
  readonly payload: unknown;
}

interface PublishedEvent {
  readonly name: string;
  readonly examples: readonly unknown[];
}

/** All payloads of GitHub.com that `@octokit/webhooks-examples` publishes. */
export function publishedDeliveries(): Delivery[] {
  const events = createRequire(import.meta.url)(
    "@octokit/webhooks-examples",
  ) as readonly PublishedEvent[];
  return events.flatMap(({ name, examples }) =>
    examples.map((payload, index) => ({ event: name, index, payload })),
  );
}
