import type { Command } from "commander";
import { addSecretsRotate } from "./secrets/rotate.ts";
import { addSecretsStatus } from "./secrets/status.ts";

/** `codespar secrets …`: the keys that seal the secrets of all organisations. */
export function addSecretsCommands(program: Command): void {
  const secrets = program
    .command("secrets")
    .description("tell which keys seal secrets, and replace them");
  addSecretsStatus(secrets);
  addSecretsRotate(secrets);
}
