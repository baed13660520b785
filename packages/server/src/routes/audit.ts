import type { App } from "../app-types.ts";
import type { StorageOf } from "../http/scope.ts";
import { checkpointRoutes } from "./audit/checkpoints.ts";
import { entryRoutes } from "./audit/entries.ts";
import { exportRoute } from "./audit/export.ts";
import { intentRoutes } from "./audit/intents.ts";
import { redactionRoute } from "./audit/redaction.ts";
import { signingKeyRoutes } from "./audit/signing-keys.ts";
import { verificationRoute } from "./audit/verification.ts";

/** `/api/audit` and all below it. */
export function auditRoutes(app: App, storageOf: StorageOf): void {
  entryRoutes(app, storageOf);
  intentRoutes(app, storageOf);
  redactionRoute(app, storageOf);
  verificationRoute(app, storageOf);
  checkpointRoutes(app, storageOf);
  signingKeyRoutes(app, storageOf);
  exportRoute(app, storageOf);
}
