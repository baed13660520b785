import type { ApiKeyScope } from "@codespar/core";
import { HttpError } from "../errors.ts";

const challenge = 'Bearer realm="codespar"';

/**
 * What a request without a key gets.
 *
 * @param port - where the caller reached the server; in-process injection has none
 */
export function keyless(port: number | string = "PORT"): HttpError {
  return new HttpError(
    "UNAUTHENTICATED",
    "Send an API key: Authorization: Bearer csk_…. On the server's machine, codespar keys create NAME makes one. As long as there is none, " +
      "requests that come straight from that machine to localhost need none either; to come from there, bring its port to yours: " +
      `ssh -L ${port}:localhost:${port} HOST, then use http://localhost:${port}.`,
    { "www-authenticate": challenge },
  );
}

/** What a request gets whose key isn't one that works, for whatever reason. */
export function unknownKey(): HttpError {
  return new HttpError(
    "UNAUTHENTICATED",
    "This is no API key that works here: it may be mistyped, expired or revoked. Send another one as Authorization: Bearer csk_….",
    { "www-authenticate": `${challenge}, error="invalid_token"` },
  );
}

/** What a request gets whose key lacks the scope. */
export function lacking(scope: ApiKeyScope): HttpError {
  return new HttpError(
    "FORBIDDEN",
    `This needs a key with the scope ${scope}. codespar keys create NAME --scopes ${scope} makes one.`,
    { "www-authenticate": `${challenge}, error="insufficient_scope", scope="${scope}"` },
  );
}

/** What an organisation's key gets where only the operator may go. */
export function operatorsOnly(): HttpError {
  return new HttpError(
    "FORBIDDEN",
    "This is open only to the key of CODESPAR_ADMIN_KEY, which acts for the whole deployment.",
    { "www-authenticate": `${challenge}, error="insufficient_scope"` },
  );
}

/** What a key gets that names another organisation, whether there is one of that name or not. */
export function otherOrganisation(): HttpError {
  return new HttpError(
    "FORBIDDEN",
    "An API key belongs to one organisation, and x-org-id names another. Leave the header out, or send that organisation's key.",
  );
}

/** What a caller gets that asks too often. */
export function tooMany(headers: Readonly<Record<string, string>>): HttpError {
  return new HttpError(
    "RATE_LIMITED",
    "These are more requests than are taken in a minute. Wait for as many seconds as Retry-After says.",
    headers,
  );
}
