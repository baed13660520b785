import { StorageError } from "@codespar/core";
import { z } from "zod";
import type { App } from "../app-types.ts";
import { entityTag } from "../http/entity-tags.ts";
import { named } from "../http/idempotency.ts";
import { conditionally, isNotModified } from "../http/preconditions.ts";
import { responses } from "../http/responses.ts";
import type { StorageOf } from "../http/scope.ts";
import { flag, idParam, pageOf, pageQuery, project } from "../schemas.ts";

const url = "/api/projects/:id";
const params = z.object({ id: idParam });

const fields = {
  slug: z
    .string()
    .exactOptional()
    .describe("Unique in the organisation. By default made from the name."),
  repository: z
    .string()
    .nullable()
    .exactOptional()
    .describe("`owner/name`, or an https or ssh URL of GitHub, GitLab or Bitbucket."),
  agentId: z.string().nullable().exactOptional(),
};

/** `/api/projects` */
export function projectRoutes(app: App, storageOf: StorageOf): void {
  collectionRoutes(app, storageOf);
  getRoute(app, storageOf);
  changeRoute(app, storageOf);
  deleteRoute(app, storageOf);
}

function collectionRoutes(app: App, storageOf: StorageOf): void {
  app.get(
    "/api/projects",
    {
      config: { scope: "read", documentedHeaders: ["x-org-id"] },
      schema: {
        tags: ["projects"],
        operationId: "listProjects",
        summary: "Projects by id",
        querystring: z.strictObject({ ...pageQuery, reverse: flag.exactOptional() }),
        response: responses({ 200: ["A page.", pageOf(project)] }),
      },
    },
    async (request) => await storageOf(request).projects.list(request.query),
  );

  app.post(
    "/api/projects",
    {
      config: {
        scope: "write",
        documentedHeaders: ["x-org-id", "idempotency-key"],
        answerHeaders: ["ETag", "Location"],
      },
      schema: {
        tags: ["projects"],
        operationId: "createProject",
        summary: "Creates a project",
        description:
          "Repeat a request whose answer got lost with the same `id` or `Idempotency-Key`: nothing is created twice. With the header the answer is then the project as it is now.",
        body: z.strictObject({
          id: z.string().exactOptional().describe("By default a new UUID."),
          name: z.string(),
          ...fields,
        }),
        response: responses({ 201: ["Created.", project] }, 409, 415),
      },
    },
    async (request, reply) => {
      const { projects, orgId } = storageOf(request);
      const project = named(request, orgId, request.body);
      const isDerived = project.id !== request.body.id;
      const created = await projects.create(project).catch(async (error: unknown) => {
        const earlier = isDerived ? await projects.get(project.id ?? "") : null;
        if (earlier === null || !StorageError.is(error, "ALREADY_EXISTS")) throw error;
        return earlier;
      });
      return reply
        .code(201)
        .header("location", `/api/projects/${encodeURIComponent(created.id)}`)
        .header("etag", entityTag(created.version))
        .send(created);
    },
  );
}

function getRoute(app: App, storageOf: StorageOf): void {
  app.get(
    url,
    {
      config: { scope: "read", documentedHeaders: ["x-org-id", "if-none-match"] },
      schema: {
        tags: ["projects"],
        operationId: "getProject",
        summary: "One project",
        params,
        response: responses(
          {
            200: ["The project; its version is the ETag.", project],
            304: ["The caller has this version."],
          },
          404,
          412,
        ),
      },
    },
    async (request, reply) => {
      const found = await storageOf(request).projects.get(request.params.id);
      if (isNotModified(request, reply, "project", found?.version ?? null))
        return reply.code(304).send();
      if (found === null) throw missing();
      return reply.code(200).send(found);
    },
  );
}

function changeRoute(app: App, storageOf: StorageOf): void {
  app.patch(
    url,
    {
      config: {
        scope: "write",
        documentedHeaders: ["x-org-id", "if-match"],
        answerHeaders: ["ETag"],
      },
      schema: {
        tags: ["projects"],
        operationId: "changeProject",
        summary: "Changes what is named and leaves the rest",
        params,
        body: z.strictObject({ name: z.string().exactOptional(), ...fields }),
        response: responses({ 200: ["The project as it is now.", project] }, 404, 409, 412, 415),
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const { projects } = storageOf(request);
      const after = await conditionally(request, {
        what: "project",
        current: async () => (await projects.get(id))?.version ?? null,
        write: (preconditions) => projects.update(id, request.body, preconditions),
        writeAbsent: () => Promise.reject(missing()),
      });
      return reply.code(200).header("etag", entityTag(after.version)).send(after);
    },
  );
}

function deleteRoute(app: App, storageOf: StorageOf): void {
  app.delete(
    url,
    {
      config: { scope: "write", documentedHeaders: ["x-org-id", "if-match"] },
      schema: {
        tags: ["projects"],
        operationId: "deleteProject",
        summary: "Removes a project",
        params,
        response: responses({ 204: ["Removed."] }, 404, 409, 412),
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const { projects } = storageOf(request);
      const existed = await conditionally(request, {
        what: "project",
        current: async () => (await projects.get(id))?.version ?? null,
        write: (preconditions) => projects.delete(id, preconditions),
        writeAbsent: async () => false,
      });
      if (!existed) throw missing();
      return reply.code(204).send();
    },
  );
}

function missing(): StorageError {
  return new StorageError("NOT_FOUND", "There is no such project. POST /api/projects creates one.");
}
