import { type AgentState, autonomyLevels } from "../../domain/agent.ts";
import { agentSchema } from "../../domain/schemas.ts";
import { compareUtf8 } from "../../domain/text.ts";
import { StorageError } from "../../errors/storage-error.ts";
import type { CallContext, RecordRef, StoredRecord } from "../backend.ts";
import { decodeCursor, encodeCursor } from "../cursor.ts";
import { optionNames } from "../option-names.ts";
import type { AgentListOptions, Listing } from "../options.ts";
import type { AgentStates } from "../storage.ts";
import { checkAgentId, pageLimit, parse } from "../validation.ts";
import { automaticEntry } from "./audit-entries.ts";
import { beginCall, type HandleContext, metaOf } from "./context.ts";
import { listing, pageOf } from "./listing.ts";
import {
  assertPreconditions,
  changesBetween,
  deleteRecord,
  putRecord,
  readShown,
} from "./record-verbs.ts";
import type { Runner } from "./runner.ts";
import type { UnitOfWork } from "./unit-of-work.ts";

type AgentFields = Pick<
  AgentState,
  "type" | "name" | "status" | "autonomyLevel" | "projectId" | "lastActivityAt"
>;
type ParsedAgent = ReturnType<typeof agentSchema.parse>;

/** Agents on a handle. */
export function agentStatesDomain(runner: Runner): AgentStates {
  const { context } = runner;
  return {
    ...agentVerbs(runner),
    get: async (agentId, options) => {
      checkAgentId(agentId);
      const call = beginCall(context, options);
      const [record] = await context.backend.read(context.orgId, [agentRef(agentId)], call);
      if (record) return showAgent(record);
      const query = { table: "agent_memory", within: [agentId], limit: 1 } as const;
      const [memory] = await context.backend.list(context.orgId, query, call);
      return memory === undefined ? null : implied(agentId);
    },
    list: (options) => agentListing(context, options),
  };
}

/** The verbs that also work inside a transaction. */
export function agentVerbs(runner: Runner): Omit<AgentStates, "list"> {
  return {
    get: (agentId, options) =>
      runner.run(async (unit) => readShown(unit, agentRef(agentId), showAgent), options),
    has: (agentId, options) =>
      runner.run(async (unit) => (await unit.read(agentRef(agentId))) !== null, options),
    set: (agentId, state, options) =>
      runner.run(
        async (unit) => {
          const fields = withDefaults(agentId, parse(agentSchema, state, "agent"));
          const before = await unit.read(agentRef(agentId));
          assertPreconditions(agentRef(agentId), before, options);
          return putAgent(unit, agentId, before, fields);
        },
        options,
        optionNames.write,
      ),
    update: (agentId, patch, options) =>
      runner.run(
        async (unit) => {
          const parsed = parse(agentSchema, patch, "agent");
          const before = await unit.read(agentRef(agentId));
          assertPreconditions(agentRef(agentId), before, options);
          if (before === null) await assertHasMemory(unit, agentId);
          const fields = before === null ? withDefaults(agentId, {}) : showAgent(before);
          return putAgent(unit, agentId, before, { ...fields, ...definedOf(parsed) });
        },
        options,
        optionNames.delete,
      ),
    touch: (agentId, options) =>
      runner.run(async (unit) => {
        const before = await unit.read(agentRef(agentId));
        if (before === null) throw notRegistered(agentId);
        const lastActivityAt = new Date(unit.call.now).toISOString();
        return writeAgent(unit, agentId, before, { ...showAgent(before), lastActivityAt });
      }, options),
    delete: (agentId, options) =>
      runner.run(
        async (unit) => {
          const said = { action: "agent.deleted", ...subject(agentId) } as const;
          return deleteRecord(unit, agentRef(agentId), options, () => said);
        },
        options,
        optionNames.delete,
      ),
  };
}

function agentRef(agentId: string): RecordRef {
  checkAgentId(agentId);
  return { table: "agent_states", key: [agentId] };
}

function subject(agentId: string) {
  return { target: { type: "agent", id: agentId }, agent: { id: agentId } };
}

function notRegistered(agentId: string): StorageError {
  return new StorageError(
    "NOT_FOUND",
    `There is no agent ${JSON.stringify(agentId)}. Register it first with agentStates.set.`,
  );
}

/** Holds for memory as the transaction sees it; the entry that it rests on must still be there at the commit. */
async function assertHasMemory(unit: UnitOfWork, agentId: string): Promise<void> {
  const { backend, orgId } = unit.context;
  const own = unit.writesTo("agent_memory").filter(({ key }) => key[0] === agentId);
  if (own.some(({ kind }) => kind === "put")) return;
  const query = { table: "agent_memory", within: [agentId], limit: own.length + 1 } as const;
  const stored = await backend.list(orgId, query, unit.call);
  const kept = stored.find(({ key }) => !own.some((write) => write.key[1] === key[1]));
  if (kept === undefined) throw notRegistered(agentId);
  await unit.read({ table: "agent_memory", key: kept.key });
}

function withDefaults(agentId: string, parsed: ParsedAgent): AgentFields {
  return {
    type: parsed.type ?? "agent",
    name: parsed.name ?? agentId,
    status: parsed.status ?? "idle",
    autonomyLevel: parsed.autonomyLevel ?? autonomyLevels.default,
    projectId: parsed.projectId ?? null,
    lastActivityAt: parsed.lastActivityAt ?? null,
  };
}

function definedOf(parsed: ParsedAgent): Partial<AgentFields> {
  return Object.fromEntries(Object.entries(parsed).filter(([, value]) => value !== undefined));
}

function putAgent(
  unit: UnitOfWork,
  agentId: string,
  before: StoredRecord | null,
  fields: AgentFields,
): AgentState {
  const after = writeAgent(unit, agentId, before, fields);
  const changes = changesBetween(
    before === null ? null : fieldsOf(showAgent(before)),
    fieldsOf(after),
  );
  const action = before === null ? "agent.registered" : changeAction(changes);
  const project = after.projectId === null ? {} : { project: after.projectId };
  unit.append(
    automaticEntry(unit.context.actor, { action, ...subject(agentId), ...project }, { changes }),
  );
  return after;
}

/** What matters most of a change names its entry: an auditor filters by action, and details can be erased. */
function changeAction(changes: Readonly<Record<string, unknown>>) {
  if ("autonomyLevel" in changes) return "agent.autonomy_changed";
  return "status" in changes ? "agent.status_changed" : "agent.updated";
}

function writeAgent(
  unit: UnitOfWork,
  agentId: string,
  before: StoredRecord | null,
  fields: AgentFields,
): AgentState {
  const ref = agentRef(agentId);
  const columns = {
    type: fields.type,
    name: fields.name,
    status: fields.status,
    autonomy_level: fields.autonomyLevel,
    project_id: fields.projectId,
    last_activity_at: fields.lastActivityAt,
  };
  return showAgent(putRecord(unit, ref, before, columns));
}

function fieldsOf(state: AgentState): AgentFields {
  const { type, name, status, autonomyLevel, projectId, lastActivityAt } = state;
  return { type, name, status, autonomyLevel, projectId, lastActivityAt };
}

function showAgent(record: StoredRecord): AgentState {
  const { columns } = record;
  return {
    id: record.key[0] ?? "",
    type: String(columns["type"]),
    name: String(columns["name"]),
    status: columns["status"] as AgentState["status"],
    autonomyLevel: Number(columns["autonomy_level"]),
    projectId: columns["project_id"] as string | null,
    lastActivityAt: columns["last_activity_at"] as string | null,
    registered: true,
    ...metaOf(record),
  };
}

/** An agent known only by the memory written for it. */
function implied(agentId: string): AgentState {
  const fields = withDefaults(agentId, {});
  return {
    id: agentId,
    ...fields,
    registered: false,
    version: null,
    createdAt: null,
    updatedAt: null,
  };
}

function agentListing(
  context: HandleContext,
  options: AgentListOptions | undefined,
): Listing<AgentState> {
  return listing(options?.cursor, async (cursor) => {
    const call = beginCall(context, options, optionNames.agentList);
    const { status } = parse(
      agentSchema.pick({ status: true }),
      { status: options?.status },
      "filter",
    );
    const limit = pageLimit(options?.limit);
    const reverse = options?.reverse ?? false;
    const scope = [context.orgId, "agents", status, reverse];
    const after = cursor === undefined ? undefined : decodeCursor(scope, cursor, 1);
    const rows: AgentState[] = [];
    for await (const agent of agentsAfter(context, call, {
      status,
      reverse,
      after,
      limit: limit + 1,
    })) {
      if (rows.push(agent) > limit) break;
    }
    return pageOf(
      rows,
      limit,
      (agent) => agent,
      (agent) => encodeCursor(scope, [agent.id]),
    );
  });
}

interface AgentRange {
  readonly status: AgentState["status"] | undefined;
  readonly reverse: boolean;
  readonly after: readonly string[] | undefined;
  readonly limit: number;
}

/** Registered agents and those known only by their memory, merged in key order. */
async function* agentsAfter(
  context: HandleContext,
  call: CallContext,
  range: AgentRange,
): AsyncGenerator<AgentState> {
  const direction = range.reverse ? -1 : 1;
  const registered = registeredAgents(context, call, range);
  const known =
    range.status === undefined || range.status === withDefaults("", {}).status
      ? impliedAgents(context, call, range)
      : none();
  let [left, right] = [await registered.next(), await known.next()];
  while (!left.done || !right.done) {
    const takeLeft =
      right.done || (!left.done && compareUtf8(left.value.id, right.value.id) * direction <= 0);
    if (takeLeft && !left.done) {
      yield left.value;
      left = await registered.next();
    } else if (!right.done) {
      yield right.value;
      right = await known.next();
    }
  }
}

async function* none(): AsyncGenerator<AgentState> {
  // An agent known only by its memory is idle: any other status leaves it out.
}

async function* registeredAgents(
  context: HandleContext,
  call: CallContext,
  range: AgentRange,
): AsyncGenerator<AgentState> {
  let after = range.after;
  for (;;) {
    const where = range.status === undefined ? undefined : { status: range.status };
    const query = {
      table: "agent_states",
      where,
      after,
      limit: range.limit,
      reverse: range.reverse,
    } as const;
    const rows = await context.backend.list(context.orgId, query, call);
    yield* rows.map(showAgent);
    if (rows.length < range.limit) return;
    after = rows.at(-1)?.key;
  }
}

async function* impliedAgents(
  context: HandleContext,
  call: CallContext,
  range: AgentRange,
): AsyncGenerator<AgentState> {
  let after = range.after;
  for (;;) {
    const query = { after, limit: range.limit, reverse: range.reverse };
    const ids = await context.backend.agentsWithMemory(context.orgId, query, call);
    const records = await context.backend.read(context.orgId, ids.map(agentRef), call);
    for (const [i, id] of ids.entries()) if (!records[i]) yield implied(id);
    const last = ids.at(-1);
    if (ids.length < range.limit || last === undefined) return;
    after = [last];
  }
}
