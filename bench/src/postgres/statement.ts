/** One statement for both `pg` and `pgbench`, so that both send the same. */
export interface Statement {
  /** With `$1`, `$2`, … for `pg`. */
  readonly text: string;
  /** With `:name` for `pgbench -M prepared`, which sends them as `$1`, `$2`, … too. */
  readonly script: string;
}

/** The statement of a text with `:name` for each parameter, numbered in the order in which they first appear. */
export function statement(script: string): Statement {
  const names: string[] = [];
  const text = script.replace(/(?<!:):([a-z]+)/g, (_, name: string) => {
    if (!names.includes(name)) names.push(name);
    return `$${names.indexOf(name) + 1}`;
  });
  return { text, script };
}
