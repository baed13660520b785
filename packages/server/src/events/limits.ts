/** What bounds the event streams of one process. */
export interface EventLimits {
  /** Streams at once. */
  readonly streams: number;
  /** Of them, those of one organisation: others must not find all of them taken. */
  readonly streamsPerOrganisation: number;
  /** Milliseconds between the comments that keep a quiet connection open, and notice a dead one. */
  readonly heartbeatMs: number;
  /** Milliseconds in which a reader must take what was sent before more is. */
  readonly stallMs: number;
}

/** Most proxies close what is quiet for 30 seconds or more. */
export const defaultEventLimits: EventLimits = {
  streams: 1000,
  streamsPerOrganisation: 250,
  heartbeatMs: 15_000,
  stallMs: 30_000,
};
