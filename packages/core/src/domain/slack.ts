import type { RecordMeta } from "./memory.ts";

/** Names one Slack installation: of a workspace (`teamId`) or of a whole Enterprise Grid organisation (`enterpriseId`). */
export interface SlackInstallationQuery {
  readonly teamId?: string;
  readonly enterpriseId?: string;
  /** When true, `enterpriseId` names the installation and `teamId` is ignored, as in Slack's own stores. */
  readonly isEnterpriseInstall?: boolean;
}

/** What Slack's OAuth gives, with its tokens, in the shape of `@slack/oauth`'s `Installation`. */
export interface SlackInstallationInput extends SlackInstallationQuery {
  readonly teamName?: string | null;
  readonly appId?: string | null;
  readonly botUserId?: string | null;
  readonly scopes?: readonly string[];
  /** Tokens by name, for example `botToken`; sealed at rest, all of them together at most 64 KiB as JSON. */
  readonly tokens: Readonly<Record<string, string>>;
}

/** A Slack installation without its tokens. */
export interface SlackInstallation extends RecordMeta {
  readonly teamId: string | null;
  readonly enterpriseId: string | null;
  readonly isEnterpriseInstall: boolean;
  readonly teamName: string | null;
  readonly appId: string | null;
  readonly botUserId: string | null;
  readonly scopes: readonly string[];
  /** The names of the sealed tokens, sorted; never their values. */
  readonly tokenNames: readonly string[];
  readonly installedAt: string;
}
