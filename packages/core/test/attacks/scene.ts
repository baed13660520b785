import { afterAll, beforeAll, describe } from "vitest";
import { legs, type Target } from "../support/legs.ts";
import type { Attacker } from "./attacker.ts";
import { take } from "./attacker.ts";
import { FileAttacker } from "./file-attacker.ts";
import type { Entry } from "./forge.ts";
import { PostgresAttacker } from "./postgres-attacker.ts";
import { makeVictim, type Victim } from "./victim.ts";

/** A storage with a trail to attack and another organisation's, inside of tests. */
export interface Scene {
  readonly attacker: Attacker;
  readonly victim: Victim;
  /** The victim's entries as they were sealed, and another organisation's. */
  readonly entries: readonly Entry[];
  readonly foreign: readonly Entry[];
  /** Undoes what attacks did. */
  restore(): Promise<void>;
}

const kinds = ["files", "PostgreSQL"];

/** Runs a suite of attacks on both backends. */
export function describeAttacks(topic: string, suite: (scene: Scene) => void): void {
  for (const { name, open } of legs.filter((leg) => kinds.includes(leg.name))) {
    describe(`${topic} on ${name}`, () => {
      let target: Target | undefined;
      let attacker: FileAttacker | PostgresAttacker | undefined;
      const scene = {} as { -readonly [Key in keyof Scene]: Scene[Key] };
      beforeAll(async () => {
        target = await open();
        scene.victim = await makeVictim(target.options, "acme");
        await makeVictim(target.options, "other");
        attacker =
          target.options.directory === undefined
            ? await PostgresAttacker.login(target.options)
            : new FileAttacker(target.options);
        scene.attacker = attacker;
        scene.entries = (await take(attacker, "acme")).entries;
        scene.foreign = (await take(attacker, "other")).entries;
        scene.restore = await attacker.save("acme");
      }, 120_000);
      afterAll(async () => {
        await attacker?.logout();
        await target?.close();
      });
      suite(scene);
    });
  }
}
