import { newId } from "../../crypto/random.ts";
import type { Project } from "../../domain/project.ts";
import { idText, projectPatchSchema, projectSchema } from "../../domain/schemas.ts";
import { invalid, StorageError } from "../../errors/storage-error.ts";
import type { RecordRef, StoredRecord } from "../backend.ts";
import { optionNames } from "../option-names.ts";
import type { DeleteOptions } from "../options.ts";
import type { Projects } from "../storage.ts";
import { parse } from "../validation.ts";
import { automaticEntry } from "./audit-entries.ts";
import { beginCall, metaOf } from "./context.ts";
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

type ProjectFields = Pick<Project, "name" | "slug" | "repository" | "agentId">;

/** The project registry on a handle. */
export function projectsDomain(runner: Runner): Projects {
  const { context } = runner;
  return {
    ...projectVerbs(runner),
    getBySlug: async (slug, options) => {
      const call = beginCall(context, options);
      const where = { slug: parse(projectSchema.shape.slug.unwrap(), slug, "slug") };
      const [record] = await context.backend.list(
        context.orgId,
        { table: "projects", where, limit: 1 },
        call,
      );
      return record === undefined ? null : showProject(record);
    },
    list: (options) =>
      tableListing(context, options, () => ({ table: "projects", show: showProject })),
  };
}

/** The verbs that also work inside a transaction. */
export function projectVerbs(runner: Runner): Omit<Projects, "list" | "getBySlug"> {
  const update = (projectId: string, patch: unknown, options: DeleteOptions | undefined) =>
    runner.run(
      async (unit) => {
        const ref = projectRef(projectId);
        const { repository, ...parsed } = parse(projectPatchSchema, patch, "project");
        const before = await unit.read(ref);
        if (before === null)
          throw new StorageError("NOT_FOUND", `There is no project ${JSON.stringify(projectId)}.`);
        assertPreconditions(ref, before, options);
        const now = fieldsOf(showProject(before));
        return putProject(unit, projectId, before, {
          name: parsed.name ?? now.name,
          slug: parsed.slug ?? now.slug,
          repository: repository === undefined ? now.repository : (repository?.url ?? null),
          agentId: parsed.agentId === undefined ? now.agentId : parsed.agentId,
        });
      },
      options,
      optionNames.delete,
    );
  return {
    create: (project, options) =>
      runner.run(async (unit) => {
        const parsed = parse(projectSchema, project, "project");
        const id = parsed.id ?? newId();
        const ref = projectRef(id);
        if ((await unit.read(ref)) !== null) {
          throw new StorageError(
            "ALREADY_EXISTS",
            `There is a project ${JSON.stringify(id)} already. Update it, or choose another id.`,
          );
        }
        return putProject(unit, id, null, {
          name: parsed.name,
          slug: parsed.slug ?? slugOf(parsed.name),
          repository: parsed.repository?.url ?? null,
          agentId: parsed.agentId ?? null,
        });
      }, options),
    get: (projectId, options) =>
      runner.run(async (unit) => readShown(unit, projectRef(projectId), showProject), options),
    update,
    rename: (projectId, name, options) => update(projectId, { name }, options),
    delete: (projectId, options) =>
      runner.run(
        async (unit) => {
          const said = { action: "project.deleted", ...subject(projectId) } as const;
          return deleteRecord(unit, projectRef(projectId), options, () => said);
        },
        options,
        optionNames.delete,
      ),
  };
}

function projectRef(projectId: string): RecordRef {
  return { table: "projects", key: [parse(idText, projectId, "projectId")] };
}

function subject(projectId: string) {
  return { target: { type: "project", id: projectId }, project: projectId };
}

/** Makes a slug of a name: ASCII letters and digits, accents dropped, at most 64 characters. */
function slugOf(name: string): string {
  const slug = name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/\p{M}/gu, "")
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 64)
    .replace(/^-+|-+$/g, "");
  if (slug === "")
    throw invalid(
      "project.slug: can't be made from a name without Latin letters or digits. Give a slug.",
    );
  return slug;
}

function putProject(
  unit: UnitOfWork,
  id: string,
  before: StoredRecord | null,
  fields: ProjectFields,
): Project {
  const { name, slug, repository, agentId } = fields;
  const ref = projectRef(id);
  const columns = { name, slug, repository, agent_id: agentId };
  const record = putRecord(unit, ref, before, columns);
  const action = before === null ? "project.created" : "project.updated";
  const changes = changesBetween(before === null ? null : fieldsOf(showProject(before)), fields);
  unit.append(automaticEntry(unit.context.actor, { action, ...subject(id) }, { changes }));
  return showProject(record);
}

function fieldsOf({ name, slug, repository, agentId }: Project): ProjectFields {
  return { name, slug, repository, agentId };
}

function showProject(record: StoredRecord): Project {
  const { columns } = record;
  return {
    id: record.key[0] ?? "",
    name: String(columns["name"]),
    slug: String(columns["slug"]),
    repository: columns["repository"] as string | null,
    agentId: columns["agent_id"] as string | null,
    ...metaOf(record),
  };
}
