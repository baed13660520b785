import { Readable } from "node:stream";
import {
  deploymentOf,
  type ErasureReport,
  type Organisation,
  type OrganisationSummary,
  StorageError,
} from "@codespar/core";
import { z } from "zod";
import type { App } from "../app-types.ts";
import { begun } from "../http/begun.ts";
import { goneSignal } from "../http/gone.ts";
import { responses } from "../http/responses.ts";
import type { StorageOf } from "../http/scope.ts";
import { flag, idParam, pageOf, pageQuery } from "../schemas.ts";

const url = "/api/orgs/:orgId";
const params = z.object({ orgId: idParam });
const config = { access: "operator" } as const;

/** {@link Organisation} */
const organisation = z
  .object({ orgId: z.string() })
  .meta({ id: "Organisation" }) satisfies z.ZodType<Organisation>;

/** {@link OrganisationSummary} */
const summary = z
  .object({
    orgId: z.string(),
    tables: z.record(z.string(), z.int()).describe("Rows by table, empty ones left out."),
    rows: z.int(),
  })
  .meta({ id: "OrganisationSummary" }) satisfies z.ZodType<OrganisationSummary>;

/** {@link ErasureReport} */
const erasure = z
  .object({
    orgId: z.string(),
    resumed: z.boolean().describe("Whether it went on with one that had been broken off."),
    removed: z.array(z.object({ table: z.string(), rows: z.int() })).readonly(),
    rows: z.int(),
    damaged: z
      .boolean()
      .describe("Whether its files were damaged: rows that couldn't be read aren't counted."),
  })
  .meta({ id: "Erasure" }) satisfies z.ZodType<ErasureReport>;

/** `/api/orgs`: the organisations of the deployment. */
export function organisationRoutes(app: App, storageOf: StorageOf): void {
  readRoutes(app, storageOf);
  exportRoute(app, storageOf);
  eraseRoute(app, storageOf);
}

function readRoutes(app: App, storageOf: StorageOf): void {
  app.get(
    "/api/orgs",
    {
      config,
      schema: {
        tags: ["organisations"],
        operationId: "listOrganisations",
        summary: "Organisations that hold anything, by id",
        querystring: z.strictObject({ ...pageQuery, reverse: flag.exactOptional() }),
        response: responses({ 200: ["A page.", pageOf(organisation)] }),
      },
    },
    async (request) => await deploymentOf(storageOf(request)).organisations.list(request.query),
  );

  app.get(
    url,
    {
      config,
      schema: {
        tags: ["organisations"],
        operationId: "getOrganisation",
        summary: "What an organisation holds",
        description: "Counts its rows, which takes its time with millions.",
        params,
        response: responses({ 200: ["Rows by table.", summary] }, 404),
      },
    },
    async (request) => {
      const { orgId } = request.params;
      const { organisations } = deploymentOf(storageOf(request));
      const found = await organisations.get(orgId);
      if (found !== null) return found;
      throw new StorageError(
        "NOT_FOUND",
        "This organisation holds nothing. GET /api/orgs lists those that do.",
      );
    },
  );
}

function exportRoute(app: App, storageOf: StorageOf): void {
  app.get(
    `${url}/export`,
    {
      // A HEAD would seal an entry of an export that nobody has got.
      exposeHeadRoute: false,
      config: { ...config, answerHeaders: ["Content-Disposition"] },
      schema: {
        tags: ["organisations"],
        operationId: "exportOrganisation",
        summary: "Everything that an organisation holds, as one archive",
        description:
          "JSON Lines; secrets stay sealed. Its last line says what the archive holds, so that one that breaks off isn't taken for whole. The export is an entry of the organisation's trail.",
        params,
        response: responses({ 200: ["The archive.", { "application/jsonl": z.unknown() }] }, 404),
      },
    },
    async (request, reply) => {
      const { orgId } = request.params;
      const { organisations } = deploymentOf(storageOf(request));
      const archive = await begun(await organisations.export(orgId, { signal: goneSignal(reply) }));
      return reply
        .header("content-disposition", 'attachment; filename="organisation.jsonl"')
        .type("application/jsonl")
        .send(Readable.from(archive, { objectMode: false }));
    },
  );
}

function eraseRoute(app: App, storageOf: StorageOf): void {
  app.delete(
    url,
    {
      config,
      schema: {
        tags: ["organisations"],
        operationId: "eraseOrganisation",
        summary: "Erases an organisation for good",
        description:
          "Its records, trail, keys and routes. A large one takes its time: when the answer is cut off, send it again, and it goes on. What was erased stands in the trail of the organisation codespar/deployment.",
        params,
        querystring: z.strictObject({
          confirm: z.string().describe("The organisation's id once more."),
        }),
        response: responses({ 200: ["What was removed.", erasure] }, 404, 501),
      },
    },
    async (request) => {
      const { orgId } = request.params;
      const { organisations } = deploymentOf(storageOf(request));
      return await organisations.erase(orgId, request.query);
    },
  );
}
