import { PreconditionFailedError, StorageError } from "@codespar/core";
import { z } from "zod";
import type { App } from "../app-types.ts";
import { entityTag } from "../http/entity-tags.ts";
import { conditionally, isNotModified } from "../http/preconditions.ts";
import { responses } from "../http/responses.ts";
import type { StorageOf } from "../http/scope.ts";
import { idParam, repositoryLink } from "../schemas.ts";

const url = "/api/agents/:agentId/repository";
const params = z.object({ agentId: idParam });

const changeable = {
  defaultBranch: z.string().exactOptional().describe("`main` by default."),
  webhookConfigured: z.boolean().exactOptional(),
  webhookId: z.string().nullable().exactOptional(),
};

/** `/api/agents/:agentId/repository` */
export function repositoryRoutes(app: App, storageOf: StorageOf): void {
  getRoute(app, storageOf);
  linkRoute(app, storageOf);
  changeRoute(app, storageOf);
  unlinkRoute(app, storageOf);
}

function getRoute(app: App, storageOf: StorageOf): void {
  app.get(
    url,
    {
      config: { scope: "read", documentedHeaders: ["x-org-id", "if-none-match"] },
      schema: {
        tags: ["repository"],
        operationId: "getRepository",
        summary: "The repository linked to an agent",
        params,
        response: responses(
          {
            200: ["The link; its version is the ETag.", repositoryLink],
            304: ["The caller has this version."],
          },
          404,
          412,
        ),
      },
    },
    async (request, reply) => {
      const link = await storageOf(request).projectConfigs.get(request.params.agentId);
      if (isNotModified(request, reply, "repository link", link?.version ?? null))
        return reply.code(304).send();
      if (link === null) throw missing();
      return reply.code(200).send(link);
    },
  );
}

function linkRoute(app: App, storageOf: StorageOf): void {
  app.put(
    url,
    {
      config: { scope: "write", documentedHeaders: ["x-org-id"], answerHeaders: ["ETag"] },
      schema: {
        tags: ["repository"],
        operationId: "linkRepository",
        summary: "Links a repository to an agent that has none",
        params,
        body: z.strictObject({
          repository: z
            .string()
            .describe("`owner/name`, or an https or ssh URL of GitHub, GitLab or Bitbucket."),
          ...changeable,
          linkedBy: z.string().exactOptional(),
        }),
        response: responses({ 201: ["Linked.", repositoryLink] }, 409, 412, 415),
      },
    },
    async (request, reply) => {
      const { agentId } = request.params;
      const { projectConfigs } = storageOf(request);
      const current = async () => (await projectConfigs.get(agentId))?.version ?? null;
      const link = () => projectConfigs.link(agentId, request.body);
      const linked = await conditionally(request, {
        what: "repository link",
        current,
        // Under a version it can only fail: linking never replaces. What matters is with which error.
        write: async ({ ifVersion }) => {
          const version = ifVersion === undefined ? undefined : await current();
          if (version === ifVersion) return await link();
          throw new PreconditionFailedError("repository link", version ?? null);
        },
        writeAbsent: link,
      });
      return reply.code(201).header("etag", entityTag(linked.version)).send(linked);
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
        tags: ["repository"],
        operationId: "changeRepository",
        summary: "Changes the branch or webhook of a link",
        params,
        body: z.strictObject(changeable),
        response: responses(
          { 200: ["The link as it is now.", repositoryLink] },
          404,
          409,
          412,
          415,
        ),
      },
    },
    async (request, reply) => {
      const { agentId } = request.params;
      const { projectConfigs } = storageOf(request);
      const link = await conditionally(request, {
        what: "repository link",
        current: async () => (await projectConfigs.get(agentId))?.version ?? null,
        write: (preconditions) => projectConfigs.update(agentId, request.body, preconditions),
        writeAbsent: () => Promise.reject(missing()),
      });
      return reply.code(200).header("etag", entityTag(link.version)).send(link);
    },
  );
}

function unlinkRoute(app: App, storageOf: StorageOf): void {
  app.delete(
    url,
    {
      config: { scope: "write", documentedHeaders: ["x-org-id", "if-match"] },
      schema: {
        tags: ["repository"],
        operationId: "unlinkRepository",
        summary: "Removes the link",
        params,
        response: responses({ 204: ["Removed."] }, 404, 409, 412),
      },
    },
    async (request, reply) => {
      const { agentId } = request.params;
      const { projectConfigs } = storageOf(request);
      const existed = await conditionally(request, {
        what: "repository link",
        current: async () => (await projectConfigs.get(agentId))?.version ?? null,
        write: (preconditions) => projectConfigs.unlink(agentId, preconditions),
        writeAbsent: async () => false,
      });
      if (!existed) throw missing();
      return reply.code(204).send();
    },
  );
}

function missing(): StorageError {
  return new StorageError("NOT_FOUND", "No repository is linked to this agent. PUT links one.");
}
