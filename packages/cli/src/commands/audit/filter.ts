import type { ActorType, AuditFilter, AuditOutcome, AuditRisk } from "@codespar/core";
import { type Command, Option } from "commander";

/** The options that narrow a listing or an export. */
export interface FilterFlags {
  readonly action?: string;
  readonly outcome?: AuditOutcome;
  readonly actorType?: ActorType;
  readonly actor?: string;
  readonly agent?: string;
  readonly project?: string;
  readonly risk?: AuditRisk;
  readonly correlation?: string;
  readonly unresolved?: true;
  readonly from?: string;
  readonly to?: string;
}

/** The library's own lists would have to be loaded for every help. */
const outcomes: Readonly<Record<AuditOutcome, true>> = {
  success: true,
  failure: true,
  denied: true,
  pending: true,
  approved: true,
  error: true,
};
const actorTypes: Readonly<Record<ActorType, true>> = { user: true, agent: true, system: true };
const risks: Readonly<Record<AuditRisk, true>> = {
  low: true,
  medium: true,
  high: true,
  critical: true,
};

/** Adds the options that narrow a listing or an export. */
export function addFilterOptions(command: Command): Command {
  const oneOf = (flags: string, text: string, values: object) =>
    new Option(flags, text).choices(Object.keys(values));
  return command
    .option(
      "--action <action>",
      "only this action, or with a * at its end those that begin with it",
    )
    .addOption(oneOf("--outcome <outcome>", "only this outcome", outcomes))
    .addOption(oneOf("--actor-type <type>", "only this kind of actor", actorTypes))
    .option("--actor <id>", "only what this actor did")
    .option("--agent <id>", "only what was done on behalf of this agent")
    .option("--project <id>", "only this project")
    .addOption(oneOf("--risk <level>", "only this level of risk", risks))
    .option("--correlation <id>", "only what belongs together under this id")
    .option("--unresolved", "only intents of which nothing says what became of them")
    .option("--from <instant>", "sealed at or after, for example 2030-01-31T12:00:00Z")
    .option("--to <instant>", "sealed before");
}

/** The library's filter that the options stand for. */
export function filterOf(flags: FilterFlags): AuditFilter {
  const { action, outcome, actorType, actor, agent, project, risk, correlation } = flags;
  const { unresolved, from, to } = flags;
  const filter = {
    action,
    outcome,
    actorType,
    actorId: actor,
    agentId: agent,
    project,
    risk,
    correlationId: correlation,
    unresolved,
    from,
    to,
  };
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
}
