import { type DeleteOptions, StorageError } from "@codespar/core";
import { z } from "zod";
import type { App } from "../app-types.ts";
import { conditionally } from "../http/preconditions.ts";
import { responses } from "../http/responses.ts";
import type { StorageOf } from "../http/scope.ts";
import { flag, pageOf, pageQuery, secretValues, slackInstallation } from "../schemas.ts";
import { revealed } from "./integrations.ts";

const url = "/api/slack/installations";

/** Names one installation. */
const named = z.strictObject({
  teamId: z.string().exactOptional().describe("Of a workspace."),
  enterpriseId: z.string().exactOptional().describe("Of a whole Enterprise Grid organisation."),
});

/** `/api/slack/installations` */
export function slackInstallationRoutes(app: App, storageOf: StorageOf): void {
  listRoute(app, storageOf);
  removeRoute(app, storageOf);
  tokensRoute(app, storageOf);
}

function listRoute(app: App, storageOf: StorageOf): void {
  app.get(
    url,
    {
      config: { scope: "read", documentedHeaders: ["x-org-id"] },
      schema: {
        tags: ["slack"],
        operationId: "listSlackInstallations",
        summary: "Where CodeSpar is installed in Slack, without the tokens",
        querystring: z.strictObject({ ...pageQuery, reverse: flag.exactOptional() }),
        response: responses({ 200: ["A page.", pageOf(slackInstallation)] }),
      },
    },
    async (request) => await storageOf(request).slackInstallations.list(request.query),
  );
}

function removeRoute(app: App, storageOf: StorageOf): void {
  app.delete(
    url,
    {
      config: { scope: "secrets", documentedHeaders: ["x-org-id", "if-match"] },
      schema: {
        tags: ["slack"],
        operationId: "deleteSlackInstallation",
        summary: "Removes an installation with its tokens",
        querystring: named,
        response: responses({ 204: ["Removed."] }, 404, 409, 412),
      },
    },
    async (request, reply) => {
      const query = onlyOne(request.query);
      const { slackInstallations } = storageOf(request);
      const existed = await conditionally(request, {
        what: "Slack installation",
        current: async () => (await slackInstallations.get(query))?.version ?? null,
        write: (preconditions: DeleteOptions) => slackInstallations.delete(query, preconditions),
        writeAbsent: async () => false,
      });
      if (!existed) throw missing();
      return reply.code(204).send();
    },
  );
}

function tokensRoute(app: App, storageOf: StorageOf): void {
  app.get(
    `${url}/tokens`,
    {
      // A HEAD would seal an entry of a reading that nobody has made.
      exposeHeadRoute: false,
      config: { scope: "secrets", documentedHeaders: ["x-org-id"] },
      schema: {
        tags: ["slack"],
        operationId: "readSlackTokens",
        summary: "An installation's tokens in clear",
        description:
          "Each reading is an entry `secret.read` of the trail, sealed before the answer. It says so when there was nothing to read.",
        querystring: named,
        response: responses({ 200: ["The tokens.", z.object({ tokens: secretValues })] }, 404),
      },
    },
    async (request) => {
      const tokens = await storageOf(request).slackInstallations.getTokens(onlyOne(request.query));
      if (tokens === null) throw missing();
      return { tokens: revealed(tokens) };
    },
  );
}

/** The library lets an enterprise's query name a team too, as Slack's own requests do; a person who names both means something else. */
function onlyOne(query: z.output<typeof named>): z.output<typeof named> {
  if ((query.teamId === undefined) !== (query.enterpriseId === undefined)) return query;
  throw new StorageError(
    "VALIDATION",
    "Name one installation: ?teamId= of a workspace, or ?enterpriseId= of an Enterprise Grid organisation.",
  );
}

function missing(): StorageError {
  return new StorageError(
    "NOT_FOUND",
    "There is no such Slack installation. GET /api/slack/installations lists them.",
  );
}
