import { emailSchema, idText } from "../../domain/schemas.ts";
import {
  type Subscriber,
  type SubscriberCount,
  subscriberStatuses,
} from "../../domain/subscriber.ts";
import { invalid, StorageError } from "../../errors/storage-error.ts";
import type { CountRow, RecordRef, StoredRecord } from "../backend.ts";
import { optionNames } from "../option-names.ts";
import type { Subscribers } from "../storage.ts";
import { parse } from "../validation.ts";
import { beginCall, metaOf } from "./context.ts";
import { tableListing } from "./listing.ts";
import { putRecord, readShown } from "./record-verbs.ts";
import type { Runner } from "./runner.ts";
import type { UnitOfWork } from "./unit-of-work.ts";

type SubscriberFields = Omit<Subscriber, "email" | "version" | "createdAt" | "updatedAt">;

/** Newsletter subscribers on a handle. */
export function subscribersDomain(runner: Runner): Subscribers {
  const { context } = runner;
  return {
    ...subscriberVerbs(runner),
    list: (options) =>
      tableListing(
        context,
        options,
        () => {
          const { status, source } = options ?? {};
          if (status !== undefined && !subscriberStatuses.includes(status)) {
            throw invalid(`status must be one of ${subscriberStatuses.join(", ")}.`);
          }
          const where = {
            ...(status !== undefined && { status }),
            ...(source !== undefined && { source: parse(idText, source, "source") }),
          };
          return { table: "subscribers", where, show: showSubscriber };
        },
        optionNames.subscriberList,
      ),
    count: async (options) => {
      const call = beginCall(context, options);
      return countOf(
        await context.backend.countBy(context.orgId, "subscribers", ["source", "status"], call),
      );
    },
  };
}

/** The verbs that also work inside a transaction. */
export function subscriberVerbs(runner: Runner): Omit<Subscribers, "list" | "count"> {
  return {
    get: (email, options) =>
      runner.run(async (unit) => readShown(unit, subscriberRef(email), showSubscriber), options),
    subscribe: (email, options) =>
      runner.run(
        async (unit) => {
          const source = parse(idText, options?.source ?? "unknown", "source");
          const before = await unit.read(subscriberRef(email));
          if (before !== null && before.columns["status"] !== "unsubscribed") {
            return { subscriber: showSubscriber(before), created: false };
          }
          const subscribedAt = new Date(unit.call.now).toISOString();
          const fields = {
            source,
            status: "pending",
            subscribedAt,
            confirmedAt: null,
            unsubscribedAt: null,
          } as const;
          return { subscriber: putSubscriber(unit, email, before, fields), created: true };
        },
        options,
        optionNames.subscribe,
      ),
    confirm: (email, options) =>
      runner.run(async (unit) => {
        const before = await unit.read(subscriberRef(email));
        if (before === null || before.columns["status"] === "unsubscribed") {
          throw new StorageError(
            "NOT_FOUND",
            "This address is not subscribed. Subscribe it first.",
          );
        }
        const now = showSubscriber(before);
        if (now.status === "confirmed") return now;
        const confirmedAt = new Date(unit.call.now).toISOString();
        return putSubscriber(unit, email, before, { ...now, status: "confirmed", confirmedAt });
      }, options),
    unsubscribe: (email, options) =>
      runner.run(async (unit) => {
        const before = await unit.read(subscriberRef(email));
        if (before === null || before.columns["status"] === "unsubscribed") return false;
        const unsubscribedAt = new Date(unit.call.now).toISOString();
        putSubscriber(unit, email, before, {
          ...showSubscriber(before),
          status: "unsubscribed",
          unsubscribedAt,
        });
        return true;
      }, options),
  };
}

function subscriberRef(email: string): RecordRef {
  return { table: "subscribers", key: [parse(emailSchema, email, "email")] };
}

function putSubscriber(
  unit: UnitOfWork,
  email: string,
  before: StoredRecord | null,
  fields: SubscriberFields,
): Subscriber {
  const ref = subscriberRef(email);
  const columns = {
    source: fields.source,
    status: fields.status,
    subscribed_at: fields.subscribedAt,
    confirmed_at: fields.confirmedAt,
    unsubscribed_at: fields.unsubscribedAt,
  };
  return showSubscriber(putRecord(unit, ref, before, columns));
}

function showSubscriber(record: StoredRecord): Subscriber {
  const { columns } = record;
  return {
    email: record.key[0] ?? "",
    source: String(columns["source"]),
    status: columns["status"] as Subscriber["status"],
    subscribedAt: String(columns["subscribed_at"]),
    confirmedAt: columns["confirmed_at"] as string | null,
    unsubscribedAt: columns["unsubscribed_at"] as string | null,
    ...metaOf(record),
  };
}

function countOf(rows: readonly CountRow[]): SubscriberCount {
  const bySource = new Map<string, number>();
  const byStatus = { pending: 0, confirmed: 0, unsubscribed: 0 };
  for (const { values, count } of rows) {
    const status = values[1] as Subscriber["status"];
    const source = String(values[0]);
    byStatus[status] += count;
    if (status !== "unsubscribed") bySource.set(source, (bySource.get(source) ?? 0) + count);
  }
  const { pending, confirmed, unsubscribed } = byStatus;
  // fromEntries defines own properties, so that a source named __proto__ is counted like any other.
  return {
    total: pending + confirmed,
    confirmed,
    unsubscribed,
    bySource: Object.fromEntries([...bySource].sort()),
  };
}
