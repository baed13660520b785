import type { RecordMeta } from "./memory.ts";

/** What a new project is made of. */
export interface ProjectInput {
  /** Default: a new UUIDv7. */
  readonly id?: string;
  readonly name: string;
  /** Unique in the organisation: lower-case letters, digits and single hyphens, 1 to 64. Default: made from the name. */
  readonly slug?: string;
  /** `owner/name`, or an https or ssh URL of GitHub, GitLab or Bitbucket. Default `null`. */
  readonly repository?: string | null;
  /** Id of the agent that serves it. Default `null`. */
  readonly agentId?: string | null;
}

/** What can be changed of a project. */
export type ProjectPatch = Partial<Omit<ProjectInput, "id">>;

/** A project of the organisation. */
export interface Project extends RecordMeta {
  readonly id: string;
  readonly name: string;
  readonly slug: string;
  /** The repository's https URL, or `null`. */
  readonly repository: string | null;
  readonly agentId: string | null;
}
