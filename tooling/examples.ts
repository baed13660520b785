/** Type-checks the examples in the documentation, so that none outlives the code it shows. */
import { join } from "node:path";
import ts from "typescript";

/** One example: where it stands and its code. */
export interface Example {
  /** File and line, as an editor takes them. */
  readonly at: string;
  readonly code: string;
}

/** The `ts` blocks of a Markdown file. */
export function markdownExamples(path: string, text: string): Example[] {
  return [...text.matchAll(/^```ts\n(.*?)^```/gms)].map((found) => ({
    at: `${path}:${lineOf(text, found.index)}`,
    code: found[1] ?? "",
  }));
}

/** The `ts` blocks in a source file's doc comments. */
export function commentExamples(path: string, text: string): Example[] {
  return [...text.matchAll(/\/\*\*.*?\*\//gs)].flatMap((comment) => {
    const body = comment[0].replaceAll(/^ *\* ?/gm, "");
    const start = lineOf(text, comment.index);
    return [...body.matchAll(/^```ts\n(.*?)^```/gms)].map((found) => ({
      at: `${path}:${start + lineOf(body, found.index) - 1}`,
      code: found[1] ?? "",
    }));
  });
}

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}

/**
 * Compiles each example as a module of its own, under the repository's strict settings. An example that doesn't
 * make its own `storage` gets one declared.
 *
 * @param root - the repository
 * @returns one line per error, with the example's place
 */
export function exampleErrors(root: string, examples: readonly Example[]): string[] {
  const options = compilerOptions(root);
  const folder = join(root, "tooling", "examples-in-memory");
  const files = new Map(examples.map(({ code }, i) => [join(folder, `${i}.ts`), moduleOf(code)]));
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (path) => files.has(path) || fileExists(path);
  host.readFile = (path) => files.get(path) ?? readFile(path);
  host.getSourceFile = (path, ...rest) => {
    const text = files.get(path);
    return text === undefined
      ? getSourceFile(path, ...rest)
      : ts.createSourceFile(path, text, ts.ScriptTarget.ES2022);
  };
  const program = ts.createProgram([...files.keys()], options, host);
  return [...files.keys()].flatMap((path, i) => {
    const source = program.getSourceFile(path);
    const found = [
      ...program.getSyntacticDiagnostics(source),
      ...program.getSemanticDiagnostics(source),
    ];
    return found.map(
      ({ messageText }) =>
        `${examples[i]?.at}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`,
    );
  });
}

function moduleOf(code: string): string {
  const needsStorage = /\bstorage\b/.test(code) && !/\b(const|let|using) storage\b/.test(code);
  const storage = 'declare const storage: import("@codespar/core").Storage;\n';
  return `${code}\nexport {};\n${needsStorage ? storage : ""}`;
}

function compilerOptions(root: string): ts.CompilerOptions {
  const path = join(root, "tsconfig.test.json");
  const { config } = ts.readConfigFile(path, ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  // What a reader may leave unused in three lines of example.
  return { ...options, incremental: false, noUnusedLocals: false, noUnusedParameters: false };
}
