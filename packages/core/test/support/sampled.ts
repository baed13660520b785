/** Which of many places a run looks at. */
export interface Sample {
  readonly first: number;
  readonly stride: number;
  /** For the run's output. */
  readonly label: string;
}

/**
 * Every `stride`-th place, or every single one in a soak run (`CODESPAR_TEST_ROUNDS` above 1). Where it begins changes from run to run, so
 * that many runs look at all of them; `CODESPAR_TEST_OFFSET` repeats one.
 */
export function sampled(stride: number): Sample {
  if (Number(process.env["CODESPAR_TEST_ROUNDS"] ?? 1) > 1)
    return { first: 0, stride: 1, label: "at every byte" };
  const offset = process.env["CODESPAR_TEST_OFFSET"];
  const first = offset === undefined ? Math.floor(Math.random() * stride) : Number(offset) % stride;
  return {
    first,
    stride,
    label: `at byte ${first} and every ${stride} on (CODESPAR_TEST_OFFSET=${first})`,
  };
}
