/** Who did something, as the audit trail names them. */
export interface Actor {
  readonly type: ActorType;
  /** Pseudonymous id of the actor, 1 to 128 UTF-8 bytes. Never an e-mail address: entries can't be erased. */
  readonly id: string;
}

/** The kinds of actor. */
export const actorTypes = ["user", "agent", "system"] as const;

/** A kind of actor. */
export type ActorType = (typeof actorTypes)[number];

/** The actor of writes on a handle that nobody named one for with `storage.as()`. */
export const systemActor: Actor = Object.freeze({ type: "system", id: "library" });
