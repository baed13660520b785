import { deploymentOf, type RotationReport, type SecretsStatus } from "@codespar/core";
import { z } from "zod";
import type { App } from "../app-types.ts";
import { responses } from "../http/responses.ts";
import type { StorageOf } from "../http/scope.ts";

const keyId = z.string().describe("Twelve hexadecimal digits; says nothing about the key.");

/** {@link SecretsStatus} */
const status = z
  .object({
    source: z
      .enum(["configured", "folder"])
      .nullable()
      .describe("Whether keys are configured, or one is kept beside the files."),
    activeKey: keyId.nullable().describe("The key that seals; null while there is none."),
    canaryKey: keyId.nullable().describe("The key whose absence is told at start."),
    keys: z
      .array(
        z.object({
          id: keyId,
          active: z.boolean(),
          available: z.boolean().describe("What a key that isn't has sealed doesn't open."),
          records: z.int().describe("Records that it has sealed, in all organisations."),
        }),
      )
      .readonly(),
    records: z.int(),
    remaining: z.int().describe("Records sealed under another key than the active one."),
  })
  .meta({ id: "SecretsStatus" }) satisfies z.ZodType<SecretsStatus>;

/** {@link RotationReport} */
const rotation = z
  .object({
    finished: z.boolean().describe("Whether the earlier keys can go."),
    activeKey: keyId.nullable(),
    resealed: z.int().describe("Records that this request sealed anew."),
    remaining: z.int().describe("Records sealed under another key than the active one."),
  })
  .meta({ id: "SecretsRotation" }) satisfies z.ZodType<RotationReport>;

/** What one request seals anew: it must not take longer than a proxy waits for an answer. */
const recordsPerRequest = { default: 1000, max: 10_000 };

/** `/api/secrets`: the keys that seal the secrets of all organisations. */
export function secretsRoutes(app: App, storageOf: StorageOf): void {
  app.get(
    "/api/secrets/status",
    {
      config: { access: "operator" },
      schema: {
        tags: ["secrets"],
        operationId: "getSecretsStatus",
        summary: "Which keys seal what is stored",
        response: responses({ 200: ["The keys by their ids.", status] }),
      },
    },
    async (request) => await deploymentOf(storageOf(request)).secrets.status(),
  );

  app.post(
    "/api/secrets/rotate",
    {
      // Trails of organisations tell of what was sealed anew there, and of nothing where nothing was.
      config: { access: "operator", recordsAccess: true },
      schema: {
        tags: ["secrets"],
        operationId: "rotateSecrets",
        summary: "Seals what other keys have sealed under the active one",
        description:
          "Send it until `finished`: each request goes on where the one before ended. Set CODESPAR_ENCRYPTION_KEY=NEW,OLD on every server before, and NEW after. To replace a key that is kept beside the files, ask for `newKey` in the first request. With nothing open it changes nothing.",
        body: z.strictObject({
          newKey: z
            .boolean()
            .exactOptional()
            .describe(
              "Begins with a new key, unless a rotation is open, which it then continues. Refused where keys are configured (`VALIDATION`). Once a rotation is finished, it begins another.",
            ),
          limit: z
            .int()
            .min(1)
            .max(recordsPerRequest.max)
            .exactOptional()
            .describe(`Records of this request, about: ${recordsPerRequest.default} by default.`),
        }),
        response: responses({ 200: ["How far it is.", rotation] }, 409, 415, 501),
      },
    },
    async (request) => {
      const options = { limit: recordsPerRequest.default, ...request.body };
      return await deploymentOf(storageOf(request)).secrets.rotate(options);
    },
  );
}
