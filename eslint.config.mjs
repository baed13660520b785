/**
 * The typed pass: only what needs types and what Biome's rules miss (planted floating promises: un-awaited Drizzle
 * queries among them). Everything else is Biome's.
 */
import tseslint from "typescript-eslint";

export default tseslint.config({
  files: [
    "{packages,examples}/*/{src,test}/**/*.ts",
    "bench/{src,test}/**/*.ts",
    "tooling/**/*.ts",
  ],
  ignores: ["**/dist/**"],
  plugins: { "@typescript-eslint": tseslint.plugin },
  linterOptions: { reportUnusedDisableDirectives: "error" },
  languageOptions: {
    parser: tseslint.parser,
    parserOptions: { project: ["./tsconfig.test.json"], tsconfigRootDir: import.meta.dirname },
  },
  rules: {
    "@typescript-eslint/no-floating-promises": ["error", { checkThenables: true }],
    "@typescript-eslint/no-misused-promises": "error",
    "@typescript-eslint/return-await": ["error", "error-handling-correctness-only"],
    "@typescript-eslint/switch-exhaustiveness-check": [
      "error",
      { considerDefaultExhaustiveForUnions: true },
    ],
  },
});
