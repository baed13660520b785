import { audit } from "./audit.ts";
import { files } from "./files.ts";
import { filesLarge } from "./files-large.ts";
import { http } from "./http.ts";
import { move } from "./move.ts";
import { postgresMemory } from "./postgres-memory.ts";
import { proof } from "./proof.ts";
import type { Scenario } from "./scenario.ts";
import { search } from "./search.ts";
import { verify } from "./verify.ts";
import { visibility } from "./visibility.ts";

/** All scenarios, in the order of the report. */
export const scenarios: readonly Scenario[] = [
  postgresMemory,
  visibility,
  audit,
  verify,
  proof,
  search,
  files,
  filesLarge,
  http,
  move,
];
