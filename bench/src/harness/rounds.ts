/** Measures one contestant once and returns the figure. */
export type Leg = () => Promise<number>;

/**
 * Measures contestants in turns, so that whatever else the machine does hits all of them: in every round each once, every
 * other round in reverse order. One more round comes first and isn't counted: it warms up connections and compilers.
 *
 * @returns each contestant's figures, one per round
 */
export async function interleave<Name extends string>(
  legs: Readonly<Record<Name, Leg>>,
  rounds: number,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(legs) as Name[];
  const series = {} as Record<Name, number[]>;
  for (const name of names) {
    series[name] = [];
    await legs[name]();
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      series[name].push(await legs[name]());
    }
  }
  return series;
}
