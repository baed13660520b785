import type { RecordMeta } from "./memory.ts";

/** What links a repository to an agent. */
export interface RepositoryLinkInput {
  /** `owner/name` (GitHub), or an https or ssh URL of GitHub, GitLab or Bitbucket. */
  readonly repository: string;
  /** Default `main`. */
  readonly defaultBranch?: string;
  /** Default `false`. */
  readonly webhookConfigured?: boolean;
  /** The host's id of the webhook. Default `null`. */
  readonly webhookId?: string | null;
  /** Default: the handle's actor id. */
  readonly linkedBy?: string;
}

/** What can be changed of a link without unlinking. */
export type RepositoryLinkPatch = Partial<
  Pick<RepositoryLinkInput, "defaultBranch" | "webhookConfigured" | "webhookId">
>;

/** The repository linked to an agent. */
export interface ProjectConfig extends RecordMeta {
  readonly agentId: string;
  /** `https://host/owner/name`. */
  readonly repositoryUrl: string;
  readonly host: string;
  /** May hold slashes: GitLab's groups nest. */
  readonly owner: string;
  readonly name: string;
  readonly defaultBranch: string;
  readonly webhookConfigured: boolean;
  readonly webhookId: string | null;
  readonly linkedAt: string;
  readonly linkedBy: string;
}

/** A repository's one form, whatever way it was written. */
export interface RepositoryRef {
  readonly host: string;
  readonly owner: string;
  readonly name: string;
  readonly url: string;
}

const hosts = new Set(["github.com", "gitlab.com", "bitbucket.org"]);
const segment =
  /^[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?$|^\.[A-Za-z0-9._-]{0,98}[A-Za-z0-9_-]$/;
const scpForm = /^git@([A-Za-z0-9.-]+):(.+)$/;
const urlForm = /^(?:https?|ssh|git\+ssh):\/\//i;

const notOne =
  "must be owner/name, or an https or ssh URL of a GitHub, GitLab or Bitbucket repository";

/**
 * Brings `owner/name`, `https://host/owner/name(.git)`, `ssh://git@host/owner/name.git` and `git@host:owner/name.git` of GitHub,
 * GitLab and Bitbucket into one form. Bare `owner/name` is GitHub's. GitHub's and Bitbucket's owners are one segment; GitLab's
 * groups may nest. A URL with credentials or a port of its own isn't accepted.
 *
 * @returns the repository, or `null` when the text isn't one.
 */
export function parseRepository(text: string): RepositoryRef | null {
  const read = readRepository(text);
  return typeof read === "string" ? null : read;
}

/** As {@link parseRepository}, but says what is wrong instead of `null`, without repeating the text: it may hold a password. */
export function readRepository(text: string): RepositoryRef | string {
  if (typeof text !== "string") return notOne;
  const located = locate(text.trim());
  if (typeof located === "string") return located;
  if (!hosts.has(located.host)) return notOne;
  const path = located.path.replace(/^\/+|\/+$/g, "").replace(/\.git$/i, "");
  const segments = path.split("/");
  const name = segments.pop();
  if (name === undefined || segments.length === 0) return notOne;
  if (segments.length > 1 && located.host !== "gitlab.com") return notOne;
  if (![name, ...segments].every((part) => segment.test(part))) return notOne;
  const owner = segments.join("/");
  return { host: located.host, owner, name, url: `https://${located.host}/${owner}/${name}` };
}

function locate(text: string): { host: string; path: string } | string {
  const scp = scpForm.exec(text);
  if (scp?.[1] !== undefined && scp[2] !== undefined)
    return { host: scp[1].toLowerCase(), path: scp[2] };
  if (!urlForm.test(text)) return { host: "github.com", path: text };
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.search !== "" || url.hash !== "") return notOne;
  const isWeb = /^https?:$/.test(url.protocol);
  // Over ssh a user names the account to log in to; over https it may be a token.
  if (url.password !== "" || (isWeb && url.username !== ""))
    return "must not hold credentials: they don't belong into the URL. Store them with channelConfigs, and change them if they were shown to anybody";
  // The URL has dropped http's and https' own ports already.
  if (url.port !== "" && (isWeb || url.port !== "22"))
    return "must not name a port: GitHub, GitLab and Bitbucket are reached at the usual ones";
  return { host: url.hostname.toLowerCase().replace(/^www\./, ""), path: url.pathname };
}

/** What can't stand in a branch's name, and where: see `git check-ref-format --branch`. */
const notInBranch =
  /[\0- \x7f~^:?*[\\]|\.\.|@\{|\/\/|^[-/]|[/.]$|(?:^|\/)\.|\.lock(?:\/|$)|^(?:@|HEAD)$/;

/** Whether git accepts this as the name of a branch. */
export const isBranchName = (name: string): boolean => !notInBranch.test(name);
