import type { AuditEntry } from "../../domain/audit.ts";
import { invalid, StorageError } from "../../errors/storage-error.ts";
import type { CallOptions } from "../options.ts";
import type { Transaction, TransactionResult } from "../storage.ts";
import { agentVerbs } from "./agent-states.ts";
import { entryFromCaller, isOwn, saysTheSame, showEntry, unsealedLeaf } from "./audit-entries.ts";
import { channelConfigVerbs } from "./channel-configs.ts";
import type { HandleContext } from "./context.ts";
import { memoryInTransaction } from "./memory-in-transaction.ts";
import { projectConfigVerbs } from "./project-configs.ts";
import { projectVerbs } from "./projects.ts";
import { type Committed, runTransaction } from "./run-transaction.ts";
import { withinTransaction } from "./runner.ts";
import { slackInstallationVerbs } from "./slack-installations.ts";
import { subscriberVerbs } from "./subscribers.ts";
import type { UnitOfWork } from "./unit-of-work.ts";

/** `storage.transaction` on one handle. */
export async function transaction<Result>(
  context: HandleContext,
  work: (tx: Transaction) => Promise<Result>,
  options: CallOptions | undefined,
): Promise<TransactionResult<Result>> {
  if (typeof work !== "function") throw invalid("transaction takes a function of the transaction.");
  const committed = await runTransaction(
    context,
    async (unit) => work(transactionOf(unit)),
    options,
  );
  return { value: committed.value, audit: await sealedEntries(context, committed) };
}

/** The domains over one buffer. */
function transactionOf(unit: UnitOfWork): Transaction {
  const runner = withinTransaction(unit);
  return {
    memory: memoryInTransaction(unit),
    agentStates: agentVerbs(runner),
    projects: projectVerbs(runner),
    projectConfigs: projectConfigVerbs(runner),
    audit: {
      append: async (input) => {
        const entry = entryFromCaller(unit.context.actor, input);
        const { id } = entry.content;
        const earlier = unit.entryWithId(id);
        if (earlier === undefined) unit.append(entry, input.id !== undefined);
        else if (!saysTheSame(entry, { leaf: unsealedLeaf(earlier), parts: earlier.parts })) {
          throw new StorageError(
            "ALREADY_EXISTS",
            `This transaction appends another entry with the id ${id}: use a new id.`,
          );
        }
        return id;
      },
    },
    subscribers: subscriberVerbs(runner),
    slackInstallations: slackInstallationVerbs(runner),
    channelConfigs: channelConfigVerbs(runner),
  };
}

/** What was sealed; for an id that the trail held already, the entry that it held. */
async function sealedEntries(
  context: HandleContext,
  { commit, result }: Committed<unknown>,
): Promise<AuditEntry[]> {
  const entries: AuditEntry[] = [];
  for (const [i, sealed] of result.appends.entries()) {
    const entry = commit.appends[i];
    if (entry === undefined) throw new TypeError("the backend sealed more than it was given");
    if (isOwn(entry, sealed)) {
      entries.push(showEntry(sealed, entry.parts));
    } else {
      // It is committed: neither a signal nor a closed handle can take that back now.
      const call = { now: context.clock() };
      const stored = await context.backend.findAudit(context.orgId, entry.content.id, call);
      entries.push(showEntry(sealed, stored?.parts ?? []));
    }
  }
  return entries;
}
