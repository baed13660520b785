import fc from "fast-check";
import { MadeTrail } from "../support/made-trail.ts";

/** What goes on in the life of a trail. */
export type Step =
  | { readonly kind: "append"; readonly action: string; readonly parts: Record<string, string> }
  /** Details of one entry each: more or less than fills a tile of the tree. */
  | { readonly kind: "fill"; readonly count: number }
  /** Erases one of the parts that are there. */
  | { readonly kind: "redact"; readonly pick: number }
  | { readonly kind: "sign" }
  /** The first key, or another one in its place. */
  | { readonly kind: "key" };

const partNames = ["details", "input", "output"] as const;

const append = fc.record({
  kind: fc.constant("append" as const),
  action: fc.constantFrom("deploy.started", "tool.called", "ünïcode.\u{1f600}"),
  parts: fc.dictionary(fc.constantFrom(...partNames), fc.json({ maxDepth: 1 }), {
    noNullPrototype: true,
  }),
});
const fill = fc.record({
  kind: fc.constant("fill" as const),
  count: fc.constantFrom(1, 2, 3, 7, 255, 257),
});
const redact = fc.record({ kind: fc.constant("redact" as const), pick: fc.nat() });

/** Some entries, parts, erasures, keys and checkpoints. */
export const anySteps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof<fc.MaybeWeightedArbitrary<Step>[]>(
    { weight: 6, arbitrary: append },
    { weight: 1, arbitrary: fill },
    { weight: 3, arbitrary: redact },
    { weight: 2, arbitrary: fc.constant({ kind: "sign" }) },
    { weight: 1, arbitrary: fc.constant({ kind: "key" }) },
  ),
  { minLength: 1, maxLength: 20 },
);

/** The trail that came of it. */
export function trailOf(steps: readonly Step[]): MadeTrail {
  const trail = new MadeTrail().append();
  for (const step of steps) take(trail, step);
  return trail;
}

function take(trail: MadeTrail, step: Step): unknown {
  const keys = trail.keys.length;
  switch (step.kind) {
    case "append":
      return trail.append({ action: step.action }, step.parts);
    case "fill":
      return trail.fill(step.count);
    case "sign":
      // Nothing new is signed twice.
      return keys > 0 && trail.checkpoints.at(-1)?.size !== trail.rows.length && trail.sign();
    case "key":
      return keys > 0 ? trail.rotateKey(`key ${keys}`) : trail.createKey();
    case "redact": {
      const there = partsOf(trail);
      const part = there[step.pick % Math.max(there.length, 1)];
      return part !== undefined && trail.redact(part.seq, part.name);
    }
  }
}

/** The parts that are there. */
export function partsOf(trail: MadeTrail): { readonly seq: number; readonly name: string }[] {
  return trail.rows.flatMap(({ seq, parts }) => parts.map(({ name }) => ({ seq, name })));
}
