import { afterAll, beforeAll, describe } from "vitest";
import type { StorageOptions } from "../../src/index.ts";
import { legs, type Target } from "../support/legs.ts";
import type { Attacker } from "./attacker.ts";
import { take } from "./attacker.ts";
import { FileAttacker } from "./file-attacker.ts";
import type { Entry } from "./forge.ts";
import { PostgresAttacker } from "./postgres-attacker.ts";
import { makeVictim, type Victim } from "./victim.ts";

/** A storage with a trail to attack, inside of tests. */
export interface Place<Attacking extends Attacker> {
  readonly attacker: Attacking;
  readonly victim: Victim;
  /** Undoes what attacks did. */
  restore(): Promise<void>;
}

/** The same, with another organisation's trail. */
export interface Scene extends Place<Attacker> {
  /** The victim's entries as they were sealed, and another organisation's. */
  readonly entries: readonly Entry[];
  readonly foreign: readonly Entry[];
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Opens a storage of this kind before the tests of a suite, and closes it after them. */
export function placeOn<Attacking extends FileAttacker | PostgresAttacker>(
  kind: "files" | "PostgreSQL",
  login: (options: StorageOptions) => Attacking | Promise<Attacking>,
  others: readonly string[] = [],
): Place<Attacking> {
  const place = {} as Writable<Place<Attacking>>;
  let target: Target | undefined;
  beforeAll(async () => {
    const leg = legs.find(({ name }) => name === kind);
    if (leg === undefined) throw new Error(`no ${kind}`);
    target = await leg.open();
    place.victim = await makeVictim(target.options, "acme");
    for (const other of others) await makeVictim(target.options, other);
    place.attacker = await login(target.options);
    place.restore = await place.attacker.save("acme");
  }, 120_000);
  afterAll(async () => {
    await place.attacker?.logout();
    await target?.close();
  });
  return place;
}

const logins = {
  files: (options: StorageOptions) => new FileAttacker(options),
  PostgreSQL: (options: StorageOptions) => PostgresAttacker.login(options),
} as const;

/** Runs a suite of attacks on both backends. */
export function describeAttacks(topic: string, suite: (scene: Scene) => void): void {
  for (const kind of ["files", "PostgreSQL"] as const) {
    describe(`${topic} on ${kind}`, () => {
      const scene: Writable<Scene> = Object.assign(
        placeOn<FileAttacker | PostgresAttacker>(kind, logins[kind], ["other"]),
        { entries: [] as readonly Entry[], foreign: [] as readonly Entry[] },
      );
      beforeAll(async () => {
        scene.entries = (await take(scene.attacker, "acme")).entries;
        scene.foreign = (await take(scene.attacker, "other")).entries;
      }, 120_000);
      suite(scene);
    });
  }
}
