import { lstat, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { bundleName, maxFileBytes } from "../../audit/bundle/layout.ts";
import { filesOfTar } from "../../audit/bundle/tar.ts";
import { invalid, StorageError } from "../../errors/storage-error.ts";
import { makeFolder } from "../make-folder.ts";

/**
 * Unpacks a bundle from the bytes of its tar. Files that are no part of a bundle are passed over, so that nothing can be written anywhere
 * else. Whatever comes before the tar breaks off, or stops being one, is there; {@link verifyBundle} tells what is missing.
 *
 * @param content - what `audit.export` gives for the format `bundle`
 * @param directory - made if it isn't there; must be empty. Readable by this user only
 * @returns what was wrong with the tar, in words; `null` when nothing was
 * @throws StorageError `ALREADY_EXISTS` when the directory isn't empty; `UNAVAILABLE` when it can't be written; what reading `content` throws
 */
export async function unpackBundle(
  content: AsyncIterable<Uint8Array>,
  directory: string,
): Promise<string | null> {
  await writing(directory, () => makeFolder(directory, 0o700));
  if ((await onDisk(directory, () => readdir(directory))).length > 0)
    throw new StorageError(
      "ALREADY_EXISTS",
      `${directory} is not empty. Name a folder that isn't there yet.`,
    );
  let problem: string | null = null;
  const files = filesOfTar(content, (words) => {
    problem = words;
  });
  for await (const file of files) {
    const path = join(directory, file.name);
    await writing(path, async () => {
      await makeFolder(dirname(path), 0o700);
      await writeFile(path, file.content, { mode: 0o600 });
    });
  }
  return problem;
}

/** The files of a bundle's folder. */
export interface BundleFolder {
  /** The names that a bundle can have of the files that are there, sorted. */
  readonly names: ReadonlySet<string>;
  /** A file's bytes; `null` for one that isn't there, or that is larger than any file of a bundle. */
  read(name: string): Promise<Buffer | null>;
}

/** Opens a bundle's folder. Only regular files count. @throws StorageError `NOT_FOUND`, `VALIDATION`, `UNAVAILABLE` */
export async function openFolder(directory: string): Promise<BundleFolder> {
  const entries = await onDisk(directory, () =>
    readdir(directory, { recursive: true, withFileTypes: true }),
  );
  const names = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(join(directory, "/").length))
    .filter((name) => bundleName.test(name))
    .sort();
  const there = new Set(names);
  return {
    names: there,
    read: async (name) => {
      const path = join(directory, name);
      if (!there.has(name)) return null;
      return onDisk(path, async () =>
        (await lstat(path)).size > maxFileBytes ? null : await readFile(path),
      );
    },
  };
}

/** Whether a path leads to a folder. @throws StorageError `NOT_FOUND`, `UNAVAILABLE` */
export async function isFolder(path: string): Promise<boolean> {
  if (typeof path !== "string" || path === "") throw invalid("path must name a file or folder.");
  return (await onDisk(path, () => stat(path))).isDirectory();
}

/** Does something with a file that the caller named. @throws StorageError `NOT_FOUND`, `UNAVAILABLE` */
export async function onDisk<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT")
      throw new StorageError("NOT_FOUND", `There is no ${path}. Check the path.`, { cause });
    throw unusable(path, cause);
  }
}

/** As {@link onDisk}, where nothing has to be there yet. @throws StorageError `UNAVAILABLE` */
async function writing(path: string, work: () => Promise<void>): Promise<void> {
  await work().catch((cause: unknown) => {
    throw unusable(path, cause);
  });
}

function unusable(path: string, cause: unknown): StorageError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new StorageError(
    "UNAVAILABLE",
    `${path} can't be used (${detail}). Check path, permissions and free space.`,
    { cause },
  );
}
