import { type Actor, StorageError } from "@codespar/core";
import type { FastifyRequest } from "fastify";
import { actorOf } from "./principal.ts";

/** Whom this software names by itself, in entries that nobody else is to write in its name, nor in one that reads like it. */
const own = /^(?:http|cli|library|admin-key|checkpoints|key:.*)$/is;

/** What this software records by itself of keys, secrets, access and organisations; `audit.` is refused by the trail. */
const recorded = /^(?:access|api_key|secret|secrets|organisation)\./;

/** What an entry claims that somebody appends. */
interface Claim {
  readonly actor?: Actor | undefined;
  readonly action?: string | undefined;
}

/**
 * Refuses an entry, of whoever appends one, in which the actor stands for another key or a part of this software, or the action for what this
 * software records by itself of access and secrets. Users, agents, systems and actions of the caller's own are its to name.
 *
 * @throws StorageError `VALIDATION`
 */
export function checkClaim(request: FastifyRequest, { actor, action }: Claim): void {
  checkActor(request, actor);
  const [prefix] = recorded.exec(action ?? "") ?? [];
  if (prefix === undefined) return;
  throw new StorageError(
    "VALIDATION",
    `action: the server alone writes entries that begin with ${prefix} Choose another name.`,
  );
}

function checkActor({ principal }: FastifyRequest, claimed: Actor | undefined): void {
  if (claimed?.type !== "system" || !own.test(claimed.id)) return;
  if (principal !== null && actorOf(principal).id === claimed.id) return;
  throw new StorageError(
    "VALIDATION",
    `actor: the server alone says what system:${claimed.id} did. Name the user, the agent, or a system of your own.`,
  );
}
