import type { RecordMeta } from "./memory.ts";

/** Where a subscriber stands. */
export const subscriberStatuses = ["pending", "confirmed", "unsubscribed"] as const;

/** A state of a subscription. */
export type SubscriberStatus = (typeof subscriberStatuses)[number];

/** Somebody who asked for the newsletter. */
export interface Subscriber extends RecordMeta {
  /** Normalised: trimmed, Unicode NFC, lower case. */
  readonly email: string;
  /** Where the subscription came from, for example `landing`. */
  readonly source: string;
  readonly status: SubscriberStatus;
  readonly subscribedAt: string;
  readonly confirmedAt: string | null;
  readonly unsubscribedAt: string | null;
}

/** How many subscribers there are; those who unsubscribed don't count in `total` and `bySource`. */
export interface SubscriberCount {
  readonly total: number;
  readonly confirmed: number;
  readonly unsubscribed: number;
  readonly bySource: Readonly<Record<string, number>>;
}
