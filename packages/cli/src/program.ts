import { createRequire } from "node:module";
import { Command } from "commander";
import { addAuditCommands } from "./commands/audit.ts";
import { addHealth } from "./commands/health.ts";
import { addKeysCommands } from "./commands/keys.ts";
import { addMemoryCommands } from "./commands/memory.ts";
import { addMigrate } from "./commands/migrate.ts";
import { addMove } from "./commands/move.ts";
import { addOrgsCommands } from "./commands/orgs.ts";
import { addSalvage } from "./commands/salvage.ts";
import { addSecretsCommands } from "./commands/secrets.ts";
import { addStart } from "./commands/start.ts";
import { usage } from "./failure.ts";

const { version } = createRequire(import.meta.url)("../package.json") as { version: string };

/** Commands that work on a storage itself, and on all of it. */
const wholeStorage = new Set(["start", "migrate", "move", "salvage"]);
/** Groups of commands that concern all organisations. */
const allOrganisations = new Set(["secrets", "orgs"]);

/** The command line with all its commands. Parsing throws instead of ending the process. */
export function createProgram(): Command {
  const program = new Command("codespar")
    .description(
      "The system of record for software agents: memory, state and a tamper-evident audit trail.",
    )
    .version(version, "--version", "print the version")
    .option("--org <id>", 'organisation (default: "default")')
    .option("--server <url>", "work on this server, with the key of CODESPAR_API_KEY")
    .option("--json", "print one JSON document for programs instead of text for people")
    .configureHelp({ showGlobalOptions: true })
    .helpOption("--help", "show how a command is used")
    .helpCommand(false)
    .showSuggestionAfterError(true)
    .configureOutput({ outputError: () => undefined })
    .exitOverride()
    .hook("preAction", (_program, command) => refuseNarrowing(command));
  addStart(program);
  addHealth(program);
  addMemoryCommands(program);
  addAuditCommands(program);
  addKeysCommands(program);
  addSecretsCommands(program);
  addOrgsCommands(program);
  addMigrate(program);
  addMove(program);
  addSalvage(program);
  return program;
}

/** Better refused than ignored: somebody expects only one organisation to be touched. */
function refuseNarrowing(command: Command): void {
  const group = command.parent?.name() ?? "";
  const isWhole = wholeStorage.has(command.name());
  const { org, server } = command.optsWithGlobals<{ org?: string; server?: string }>();
  if (org !== undefined && (isWhole || allOrganisations.has(group))) {
    const name = isWhole ? command.name() : group;
    throw usage(`--org is not for ${name}, which works on all organisations. Leave it out.`);
  }
  if (server !== undefined && isWhole) {
    throw usage(
      `--server is not for ${command.name()}, which works on the storage itself. Leave it out.`,
    );
  }
}
