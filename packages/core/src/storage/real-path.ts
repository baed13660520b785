import { realpathSync } from "node:fs";
import { basename, dirname, join, sep } from "node:path";

/**
 * Where an absolute path leads once its links are followed; for what doesn't exist yet, by the folder it would be in. What can't be followed
 * stays as it is: whoever opens it is told why.
 */
export function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    if (!isMissing || dirname(path) === path) return path;
    return join(realPathOf(dirname(path)), basename(path));
  }
}

/** Whether a folder lies inside of another, at any depth, wherever links lead. The same one doesn't. */
export function liesIn(inner: string, outer: string): boolean {
  const [realInner, realOuter] = [realPathOf(inner), realPathOf(outer)];
  const within = realOuter.endsWith(sep) ? realOuter : `${realOuter}${sep}`;
  return realInner !== realOuter && realInner.startsWith(within);
}
