/** Callers that take work until there is none. */
export async function drain(
  callers: number,
  next: () => Promise<unknown> | undefined,
): Promise<void> {
  const caller = async (): Promise<void> => {
    for (let work = next(); work !== undefined; work = next()) await work;
  };
  await Promise.all(Array.from({ length: callers }, caller));
}
