import type { JsonValue, RecordMeta } from "./memory.ts";

/** One integration's credentials and settings. */
export interface ChannelConfigInput {
  /** Secrets by name, for example `token`; sealed at rest, all of them together at most 64 KiB as JSON. */
  readonly credentials: Readonly<Record<string, string>>;
  /** What isn't secret, for example the Sentry organisation's slug. Default `{}`. */
  readonly settings?: { readonly [key: string]: JsonValue | undefined };
}

/** An integration's configuration without its secrets. */
export interface ChannelConfig extends RecordMeta {
  /** Lower-case name: `sentry`, `vercel`, `railway`, … */
  readonly integration: string;
  readonly settings: { readonly [key: string]: JsonValue };
  /** The names of the sealed credentials, sorted; never their values. */
  readonly credentialNames: readonly string[];
}
