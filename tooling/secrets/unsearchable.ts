import type { SourceFile } from "../architecture.ts";

/** What tests write in ways that the search for secrets doesn't see, and what to write instead. */
const rules: readonly [RegExp, string][] = [
  [/\bmkdtemp(?:Sync)?\(/, "make the folder with scratchFolder(), remove it with removeScratch()"],
  [/\bKeyRing\.generate\(\)/, "make the key with testKey()"],
  [/\b(?:credentials|tokens): \{[^{}]*: ["']/, "make the secret with testSecret()"],
];

/** Where secrets never leave the process, and where they are searched for in a way of their own. */
const exempt = ["packages/core/test/crypto/", "packages/cli/test/planted/"];

/** One line for each place where a test makes a folder or a secret that isn't searched. */
export function unsearchable(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) => !exempt.some((folder) => path.startsWith(folder)))
    .flatMap(({ path, text }) =>
      rules.filter(([rule]) => rule.test(text)).map(([, instead]) => `${path}: ${instead}`),
    );
}
