import type { Storage } from "@codespar/core";
import type { FastifyRequest } from "fastify";
import { namedOrganisation } from "../access/organisation.ts";
import { actorOf, type Principal } from "../access/principal.ts";

/** The storage as a request may see it: scoped to its organisation, with its actor. */
export type StorageOf = (request: FastifyRequest) => Storage;

/** Views kept for reuse; beyond it they are made anew. */
const maxViews = 1000;

/**
 * Scopes a storage to a request: to the organisation of its key, or where the caller may choose, the one that `x-org-id` names, `default`
 * without it.
 */
export function scopedStorage(storage: Storage): StorageOf {
  const views = new Map<string, Storage>();
  const viewOf = (orgId: string, principal: Principal): Storage => {
    const actor = actorOf(principal);
    const name = `${actor.id}\0${orgId}`;
    const known = views.get(name);
    if (known !== undefined) return known;
    const view = storage.forOrg(orgId).as(actor);
    if (views.size >= maxViews) views.clear();
    views.set(name, view);
    return view;
  };
  return (request) => {
    const { principal } = request;
    if (principal === null) throw new TypeError("a public route has no caller to act for");
    const chosen =
      principal.kind === "key" ? principal.orgId : (namedOrganisation(request) ?? storage.orgId);
    return viewOf(chosen, principal);
  };
}
