import { type Actor, StorageError } from "@codespar/core";
import type { FastifyRequest } from "fastify";
import { actorOf } from "./principal.ts";

/** Whom this software names by itself, in entries that nobody else is to write in its name, nor in one that reads like it. */
const own = /^(?:http|cli|library|admin-key|checkpoints|key:.*)$/is;

/**
 * Refuses an actor, of whoever appends an entry, that stands for another key or a part of this software. Users, agents and systems of the
 * caller's own are its to name. Actions that this software records by itself are refused by the trail.
 *
 * @throws StorageError `VALIDATION`
 */
export function checkClaimedActor({ principal }: FastifyRequest, claimed: Actor | undefined): void {
  if (claimed?.type !== "system" || !own.test(claimed.id)) return;
  if (principal !== null && actorOf(principal).id === claimed.id) return;
  throw new StorageError(
    "VALIDATION",
    `actor: the server alone says what system:${claimed.id} did. Name the user, the agent, or a system of your own.`,
  );
}
