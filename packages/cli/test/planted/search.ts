import { formsOf } from "@codespar/tooling/secrets";
import type { Token } from "./tokens.ts";

/** Where a token was found, how it was written, and what stands around it. */
export interface Finding {
  readonly token: string;
  readonly form: string;
  readonly where: string;
  readonly around: string;
}

/** Looks for tokens in what was written, whichever way they are encoded. */
export function search(
  written: Iterable<{ readonly where: string; readonly bytes: Buffer }>,
  tokens: readonly Token[],
): Finding[] {
  const needles = tokens.flatMap(({ name, parts }) =>
    parts.flatMap((part) => formsOf(part).map((needle) => ({ token: name, ...needle }))),
  );
  const found = new Map<string, Finding>();
  for (const { where, bytes: content } of written) {
    for (const { token, form, bytes } of needles) {
      const at = content.indexOf(bytes);
      if (at === -1 || found.has(`${token} ${form} ${where}`)) continue;
      const around = content.subarray(Math.max(0, at - 80), at + 80).toString("utf8");
      found.set(`${token} ${form} ${where}`, { token, form, where, around });
    }
  }
  return [...found.values()];
}
