import { isUtf8 } from "node:buffer";
import { type AuditVerifyInput, StorageError } from "@codespar/core";
import { z } from "zod";
import type { App } from "../../app-types.ts";
import { goneSignal } from "../../http/gone.ts";
import { responses } from "../../http/responses.ts";
import type { StorageOf } from "../../http/scope.ts";
import { auditVerification, wholeNumber } from "../../schemas.ts";

const against = z.strictObject({
  trustedKey: z
    .union([z.string(), z.array(z.string())])
    .exactOptional()
    .describe("A public key (`vkey`) that the caller trusts, got from somewhere else. Repeatable."),
  checkpoint: z
    .string()
    .exactOptional()
    .describe("A signed checkpoint that the caller kept, as base64 or base64url."),
  maxUnanchored: wholeNumber
    .exactOptional()
    .describe(
      "For how many entries at the trail's end nothing needs to vouch yet: with more of them the verdict is `unanchored`. Any number by default.",
    ),
  depth: z
    .enum(["full", "hashes"])
    .exactOptional()
    .describe("`hashes`: only bytes, links and tree, several times as fast. `full` by default."),
});

/** `/api/audit/verify` */
export function verificationRoute(app: App, storageOf: StorageOf): void {
  app.get(
    "/api/audit/verify",
    {
      config: { scope: "audit:read", documentedHeaders: ["x-org-id"] },
      schema: {
        tags: ["audit"],
        operationId: "verifyAudit",
        summary: "Checks every entry of the trail as it is now",
        description:
          "Without a key or checkpoint of the caller's the best verdict is `unanchored`. Takes as long as reading the trail takes; it ends when the caller goes away.",
        querystring: against,
        response: responses({
          200: [
            "What was found. A trail that was tampered with is an answer, not an error.",
            auditVerification,
          ],
        }),
      },
    },
    async (request, reply) => {
      const input = inputOf(request.query);
      return await storageOf(request).audit.verify({ ...input, signal: goneSignal(reply) });
    },
  );
}

function inputOf(query: z.output<typeof against>): AuditVerifyInput {
  const { trustedKey, checkpoint, maxUnanchored, depth } = query;
  return {
    ...(trustedKey !== undefined && { trustedKeys: [trustedKey].flat().map(withPlus) }),
    ...(checkpoint !== undefined && { checkpoint: decoded(withPlus(checkpoint)) }),
    ...(maxUnanchored !== undefined && { maxUnanchored }),
    ...(depth !== undefined && { depth }),
  };
}

/** A plus sign that isn't percent-encoded arrives as a space; neither keys nor base64 have any. */
function withPlus(text: string): string {
  return text.replaceAll(" ", "+");
}

function decoded(text: string): string {
  const base64 = text.replaceAll("-", "+").replaceAll("_", "/").replace(/=+$/, "");
  const bytes = Buffer.from(base64, "base64");
  // Buffer passes over what isn't base64.
  if (bytes.toString("base64").replace(/=+$/, "") === base64 && isUtf8(bytes))
    return bytes.toString("utf8");
  throw new StorageError(
    "VALIDATION",
    "checkpoint must be a signed note as base64 or base64url: ?checkpoint=$(base64 -w0 checkpoint.txt).",
  );
}
