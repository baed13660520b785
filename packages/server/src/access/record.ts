import { type AuthenticatedKey, deploymentOrgId, recordAccess, type Storage } from "@codespar/core";
import type { FastifyRequest } from "fastify";
import type { StorageOf } from "../http/scope.ts";
import { type KeyPrincipal, keyActor } from "./principal.ts";

/** Why a key was refused, for its organisation's trail. */
export type Refusal = "scope" | "organisation" | "expired" | "revoked";

/**
 * Entries of the trail about access to secrets and administration. What is refused enters the trail of the organisation whose key it was, as
 * often as `mayRecord` allows; of callers without a right key no trail knows, so that nobody can fill one from outside: they are in the log.
 */
export class AccessRecord {
  readonly #storage: Storage;
  readonly #storageOf: StorageOf;
  readonly #mayRecord: (request: FastifyRequest) => Promise<boolean>;

  constructor(
    storage: Storage,
    storageOf: StorageOf,
    mayRecord: (request: FastifyRequest) => Promise<boolean>,
  ) {
    this.#storage = storage;
    this.#storageOf = storageOf;
    this.#mayRecord = mayRecord;
  }

  /**
   * Before what administration keeps is shown; changes, and readings of secrets, write entries of their own. What concerns the deployment stands
   * in its own trail.
   *
   * @throws when it can't be sealed
   */
  async granted(request: FastifyRequest): Promise<void> {
    const storage = this.#storageOf(request);
    const isOperators = request.routeOptions.config.access === "operator";
    const concerned = isOperators ? storage.forOrg(deploymentOrgId) : storage;
    await recordAccess(concerned, { decision: "granted", target: routeOf(request) });
  }

  /** A key that works was refused. That it can't be sealed is no reason to answer anything else. */
  async refused(request: FastifyRequest, { orgId, id }: KeyPrincipal, why: Refusal): Promise<void> {
    await this.#denied(request, orgId, id, why);
  }

  /** A key that has ended was presented, with the right secret. Nobody waits for it: the answer must take as long as any other. */
  ended(
    request: FastifyRequest,
    { orgId, key }: AuthenticatedKey,
    how: "expired" | "revoked",
  ): void {
    request.endedKeyId = key.id;
    void this.#denied(request, orgId, key.id, how);
  }

  async #denied(request: FastifyRequest, orgId: string, keyId: string, why: Refusal) {
    const { log, id: reqId, routeOptions } = request;
    log.warn({ reqId, keyId, why }, "access denied");
    const { scope } = routeOptions.config;
    const details = { why, ...(scope && { scope }) };
    try {
      if (!(await this.#mayRecord(request))) return;
      const concerned = this.#storage.forOrg(orgId).as(keyActor(keyId));
      await recordAccess(concerned, { decision: "denied", target: routeOf(request), details });
    } catch (error) {
      log.error({ reqId, keyId, err: error }, "access denied, which couldn't be recorded");
    }
  }
}

/** The pattern, never the address itself, which whoever is refused has chosen. */
function routeOf({ method, routeOptions }: FastifyRequest) {
  return { type: "route", id: `${method} ${routeOptions.url ?? "unknown"}` };
}
