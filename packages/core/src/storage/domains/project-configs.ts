import type { OwnAction } from "../../audit/actions.ts";
import type { ProjectConfig } from "../../domain/repository.ts";
import { linkPatchSchema, linkSchema } from "../../domain/schemas.ts";
import { StorageError } from "../../errors/storage-error.ts";
import type { ColumnValue, RecordRef, StoredRecord } from "../backend.ts";
import { optionNames } from "../option-names.ts";
import type { ProjectConfigs } from "../storage.ts";
import { checkAgentId, parse } from "../validation.ts";
import { automaticEntry } from "./audit-entries.ts";
import { metaOf } from "./context.ts";
import { tableListing } from "./listing.ts";
import {
  assertPreconditions,
  changesBetween,
  deleteRecord,
  putRecord,
  readShown,
} from "./record-verbs.ts";
import type { Runner } from "./runner.ts";
import type { UnitOfWork } from "./unit-of-work.ts";

type Columns = Readonly<Record<string, ColumnValue>>;

/** Linked repositories on a handle. */
export function projectConfigsDomain(runner: Runner): ProjectConfigs {
  return {
    ...projectConfigVerbs(runner),
    list: (options) =>
      tableListing(runner.context, options, () => ({ table: "project_configs", show: showLink })),
  };
}

/** The verbs that also work inside a transaction. */
export function projectConfigVerbs(runner: Runner): Omit<ProjectConfigs, "list"> {
  return {
    get: (agentId, options) =>
      runner.run(async (unit) => readShown(unit, linkRef(agentId), showLink), options),
    link: (agentId, link, options) =>
      runner.run(async (unit) => {
        const { repository, ...parsed } = parse(linkSchema, link, "link");
        const before = await unit.read(linkRef(agentId));
        if (before !== null) {
          const linked = String(before.columns["repository_url"]);
          throw new StorageError(
            "ALREADY_EXISTS",
            `The agent ${JSON.stringify(agentId)} is linked to ${linked}. Unlink it first.`,
          );
        }
        return putLink(unit, agentId, null, "repository.linked", {
          repository_url: repository.url,
          host: repository.host,
          owner: repository.owner,
          name: repository.name,
          default_branch: parsed.defaultBranch ?? "main",
          webhook_configured: parsed.webhookConfigured ?? false,
          webhook_id: parsed.webhookId ?? null,
          linked_at: new Date(unit.call.now).toISOString(),
          linked_by: parsed.linkedBy ?? unit.context.actor.id,
        });
      }, options),
    update: (agentId, patch, options) =>
      runner.run(
        async (unit) => {
          const parsed = parse(linkPatchSchema, patch, "link");
          const before = await unit.read(linkRef(agentId));
          if (before === null) {
            throw new StorageError(
              "NOT_FOUND",
              `The agent ${JSON.stringify(agentId)} has no linked repository. Link one first.`,
            );
          }
          assertPreconditions(linkRef(agentId), before, options);
          return putLink(unit, agentId, before, "repository.updated", {
            ...before.columns,
            ...(parsed.defaultBranch !== undefined && { default_branch: parsed.defaultBranch }),
            ...(parsed.webhookConfigured !== undefined && {
              webhook_configured: parsed.webhookConfigured,
            }),
            ...(parsed.webhookId !== undefined && { webhook_id: parsed.webhookId }),
          });
        },
        options,
        optionNames.delete,
      ),
    unlink: (agentId, options) =>
      runner.run(
        async (unit) =>
          deleteRecord(unit, linkRef(agentId), options, ({ columns }) => ({
            action: "repository.unlinked",
            ...subject(agentId, columns),
          })),
        options,
        optionNames.delete,
      ),
  };
}

function linkRef(agentId: string): RecordRef {
  checkAgentId(agentId);
  return { table: "project_configs", key: [agentId] };
}

/** The repository is named in the hashed bytes, unless its name is longer than ids there may be. */
function subject(agentId: string, columns: Columns) {
  const id = `${columns["host"]}/${columns["owner"]}/${columns["name"]}`;
  return { target: { type: "repository", id }, agent: { id: agentId } };
}

function putLink(
  unit: UnitOfWork,
  agentId: string,
  before: StoredRecord | null,
  action: OwnAction,
  columns: Columns,
): ProjectConfig {
  const ref = linkRef(agentId);
  const record = putRecord(unit, ref, before, columns);
  const changes = changesBetween<Columns>(before?.columns ?? null, columns);
  unit.append(
    automaticEntry(unit.context.actor, { action, ...subject(agentId, columns) }, { changes }),
  );
  return showLink(record);
}

function showLink(record: StoredRecord): ProjectConfig {
  const { columns } = record;
  return {
    agentId: record.key[0] ?? "",
    repositoryUrl: String(columns["repository_url"]),
    host: String(columns["host"]),
    owner: String(columns["owner"]),
    name: String(columns["name"]),
    defaultBranch: String(columns["default_branch"]),
    webhookConfigured: columns["webhook_configured"] === true,
    webhookId: columns["webhook_id"] as string | null,
    linkedAt: String(columns["linked_at"]),
    linkedBy: String(columns["linked_by"]),
    ...metaOf(record),
  };
}
