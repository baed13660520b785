import { closedLoop, type Operation } from "./closed-loop.ts";
import type { Figure } from "./report.ts";
import { interleave, type Leg } from "./rounds.ts";
import { median, medianRatio } from "./statistics.ts";

/** What contestants did in the same rounds. */
export class Comparison<Name extends string> {
  readonly #series: Record<Name, number[]>;

  private constructor(series: Record<Name, number[]>) {
    this.#series = series;
  }

  /** Measures all contestants in interleaved rounds. */
  static async of<Name extends string>(
    legs: Readonly<Record<Name, Leg>>,
    rounds: number,
  ): Promise<Comparison<Name>> {
    return new Comparison(await interleave(legs, rounds));
  }

  /** The contestant's median figure. */
  figure(name: Name, unit: Figure["unit"] = "/s"): Figure {
    return { value: median(this.#series[name]), unit };
  }

  /** All contestants' figures but those named. */
  others(...without: Name[]): Record<string, Figure> {
    const names = (Object.keys(this.#series) as Name[]).filter((name) => !without.includes(name));
    return Object.fromEntries(names.map((name) => [name, this.figure(name)]));
  }

  /** The median over the rounds of one contestant's figure divided by another's. */
  ratio(one: Name, other: Name): number {
    return medianRatio(this.#series[one], this.#series[other]);
  }
}

/** A leg that runs callers in this process and counts what they do per second. */
export function loadLeg(callers: number, durationMs: number, operation: Operation): Leg {
  return async () => (await closedLoop({ callers, durationMs }, operation)).perSecond;
}
