import canonicalizeModule from "canonicalize";

// The package is CommonJS: its default export is the function itself at run time, but not to NodeNext's types.
const canonicalize = canonicalizeModule as unknown as (value: unknown) => string | undefined;

/** RFC 8785 canonical JSON by a library that knows nothing of ours. */
export function canonicalJson(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError("not representable as JSON");
  return text;
}
