import { createTarDecoder, createTarPacker, type TarHeader } from "modern-tar";
import { type BundleFile, bundleName, maxFileBytes } from "./layout.ts";

/**
 * Files as a tar, written as they are given: one at a time is held.
 *
 * @param mtime - of every file
 */
export async function* tarOf(
  files: AsyncIterable<BundleFile>,
  mtime: Date,
): AsyncGenerator<Uint8Array> {
  const { readable, controller } = createTarPacker();
  const writing = (async () => {
    for await (const { name, content } of files) {
      const body = controller.add({ name, size: content.length, mtime }).getWriter();
      await body.write(content);
      await body.close();
    }
    controller.finalize();
  })();
  writing.catch((error: unknown) => controller.error(error));
  yield* readable;
  await writing;
}

/**
 * The files of a bundle in a tar, as they come: one at a time is held. Below whatever folder they lie in it, and without what is no part
 * of a bundle.
 *
 * @param onProblem - told in words when the tar ends before its end, or isn't one; what came before was given
 */
export async function* filesOfTar(
  bytes: AsyncIterable<Uint8Array>,
  onProblem: (words: string) => void,
): AsyncGenerator<BundleFile> {
  let failed: { readonly error: unknown } | undefined;
  const source = ReadableStream.from(
    tapped(bytes, (error) => {
      failed = { error };
    }),
  );
  try {
    for await (const { header, body } of source.pipeThrough(createTarDecoder({ strict: true }))) {
      const name = nameOf(header);
      if (name === undefined) await body.cancel();
      else yield { name, content: await whole(body) };
    }
  } catch (error) {
    if (failed !== undefined) throw failed.error;
    onProblem(error instanceof Error ? error.message : String(error));
  }
}

/** The name in a bundle of a file of the tar; `undefined` for what is no part of one. */
function nameOf({ name, type = "file", size }: TarHeader): string | undefined {
  if (type !== "file" || size > maxFileBytes) return undefined;
  const segments = name.split("/");
  return [2, 1]
    .map((count) => segments.slice(-count).join("/"))
    .find((candidate) => bundleName.test(candidate));
}

async function whole(body: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Tells an error of the source apart from one of the tar. */
async function* tapped(
  bytes: AsyncIterable<Uint8Array>,
  onError: (error: unknown) => void,
): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes;
  } catch (error) {
    onError(error);
    throw error;
  }
}
