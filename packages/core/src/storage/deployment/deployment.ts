import { invalid } from "../../errors/storage-error.ts";
import { beginCall, contextOf, type HandleContext } from "../domains/context.ts";
import { optionNames } from "../option-names.ts";
import type { Storage } from "../storage.ts";
import { type Organisations, organisationsOf } from "./organisations.ts";
import { type RotateSecretsOptions, type RotationReport, rotateSecrets } from "./rotate-secrets.ts";
import { type SecretsStatus, secretsStatus } from "./secrets.ts";

/** What concerns a storage as a whole, all its organisations. */
export interface Deployment {
  readonly secrets: DeploymentSecrets;
  readonly organisations: Organisations;
}

/** The keys that seal secrets. */
export interface DeploymentSecrets {
  /** Which keys seal what is stored. */
  status(): Promise<SecretsStatus>;
  /**
   * Seals every record that another key than the active one has sealed, in all organisations, then the canary, so that the earlier keys can
   * go. Beside running servers, as long as each of them has both keys. Nothing but the ciphertext changes: versions and instants stay. Each
   * organisation's trail gets an entry `secrets.rotated` in the same step. Broken off, the same call goes on. Where nothing is left on an earlier
   * key, it changes nothing.
   *
   * Where keys are configured, put the new one first (`CODESPAR_ENCRYPTION_KEY=NEW,OLD`) before, and remove the old one after. A key that is
   * kept beside the files is replaced by a new one with `newKey`, and kept in `keys/retired-ID.key` in the end. Until that end, `newKey` makes no
   * other key; after it, another one with each call: what follows a call that ended by its `limit` needs none.
   *
   * @throws StorageError `VALIDATION` for `newKey` where keys are configured; `KEY_MISMATCH` when something is sealed with a key that isn't set; `DECRYPTION_FAILED` when a record doesn't open: then
   * nothing of it changes; `CONFLICT` when some process goes on sealing with an earlier key; `UNSUPPORTED` when the database
   * login hasn't the rights of the tables' owner: then nothing changes either; `ENCRYPTION_KEY_MISSING`, `ABORTED`
   */
  rotate(options?: RotateSecretsOptions): Promise<RotationReport>;
}

/**
 * The administration of the storage that a handle belongs to, whichever organisation it is scoped to. The trail names the handle's actor for
 * what is done through it, and it lives as long as the handle.
 *
 * @throws StorageError `VALIDATION` for anything but a handle of `createStorage`
 */
export function deploymentOf(storage: Storage): Deployment {
  return makeDeployment(contextOf(storage));
}

function makeDeployment(context: HandleContext): Deployment {
  const { backend, actor } = context;
  return {
    secrets: {
      async status() {
        beginCall(context, undefined);
        return secretsStatus(backend);
      },
      async rotate(options = {}) {
        const call = beginCall(context, options, optionNames.rotate);
        checkLimit(options.limit);
        return rotateSecrets(backend, actor, call, options);
      },
    },
    organisations: organisationsOf(context),
  };
}

function checkLimit(limit: unknown): void {
  if (limit === undefined || (typeof limit === "number" && Number.isInteger(limit) && limit > 0))
    return;
  throw invalid("limit must be a whole number from 1.");
}
