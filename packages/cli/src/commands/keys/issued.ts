import type { IssuedApiKey } from "@codespar/core";
import { jsonText, note, print, shown } from "../../output.ts";

/** Prints a new token: on standard output nothing but it, so that a script can take it as it is. */
export async function printIssued({ key, token }: IssuedApiKey, json: boolean): Promise<void> {
  if (json) return print(jsonText({ key, token: token.reveal() }));
  const end = key.expiresAt === null ? "" : `, until ${key.expiresAt}`;
  note(`key ${key.id} (${shown(key.name)}): ${key.scopes.join(", ")}${end}`);
  note("Keep the token: it is shown only now.");
  await print(token.reveal());
}
