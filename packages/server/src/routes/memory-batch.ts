import { limits, type MemoryEntry, type Transaction } from "@codespar/core";
import { z } from "zod";
import type { App } from "../app-types.ts";
import { responses } from "../http/responses.ts";
import type { StorageOf } from "../http/scope.ts";
import { expiryFields, idParam, memoryEntry } from "../schemas.ts";
import { valueBodyLimit } from "./memory.ts";

const key = z.string().describe("Any key, those that a path can't carry included.");
const ifVersion = z
  .string()
  .exactOptional()
  .describe("Only when the entry has exactly this version.");

const operation = z.discriminatedUnion("op", [
  z.strictObject({ op: z.literal("get"), key }),
  z.strictObject({
    op: z.literal("set"),
    key,
    value: z.unknown().describe("Any JSON."),
    ...expiryFields,
    ifVersion,
    ifAbsent: z.boolean().exactOptional().describe("Only when there is no such entry."),
  }),
  z.strictObject({ op: z.literal("delete"), key, ifVersion }),
]);

const result = z.discriminatedUnion("op", [
  z.object({ op: z.literal("get"), key: z.string(), entry: memoryEntry.nullable() }),
  z.object({ op: z.literal("set"), key: z.string(), version: z.string() }),
  z.object({ op: z.literal("delete"), key: z.string(), existed: z.boolean() }),
]);

type Operation = z.output<typeof operation>;
type Get = Extract<Operation, { readonly op: "get" }>;
type Result = z.output<typeof result>;

/** `POST /api/agents/:agentId/memory`: several operations, all or none. */
export function memoryBatchRoute(app: App, storageOf: StorageOf): void {
  app.post(
    "/api/agents/:agentId/memory",
    {
      bodyLimit: valueBodyLimit,
      config: { scope: "write", documentedHeaders: ["x-org-id"] },
      schema: {
        tags: ["memory"],
        operationId: "batchMemory",
        summary: "Reads and writes several entries in one step, all or none",
        description:
          "The operations take effect in order: a get sees what an earlier operation wrote.",
        params: z.object({ agentId: idParam }),
        body: z.strictObject({
          operations: z.array(operation).min(1).max(limits.transactionOperations),
          record: z.boolean().exactOptional().describe("Writes one audit entry per changed key."),
        }),
        response: responses(
          {
            200: [
              "The results, in the order of the operations.",
              z.object({ results: z.array(result) }),
            ],
          },
          409,
          412,
          415,
        ),
      },
    },
    async (request) => {
      const { operations, record } = request.body;
      const { agentId } = request.params;
      const storage = storageOf(request);
      // Reads alone are of one moment without a transaction.
      if (operations.every(isGet))
        return { results: await read(storage.memory, agentId, operations) };
      const { value } = await storage.transaction((tx) =>
        run(tx.memory, agentId, operations, record ?? false),
      );
      return { results: value };
    },
  );
}

function isGet(each: Operation): each is Get {
  return each.op === "get";
}

/** Runs the operations in order; gets that follow each other are one read. */
async function run(
  memory: Transaction["memory"],
  agentId: string,
  operations: readonly Operation[],
  record: boolean,
): Promise<Result[]> {
  const results: Result[] = [];
  let gets: Get[] = [];
  for (const each of operations) {
    if (isGet(each)) {
      gets.push(each);
      continue;
    }
    results.push(...(await read(memory, agentId, gets)));
    gets = [];
    results.push(await write(memory, agentId, each, record));
  }
  results.push(...(await read(memory, agentId, gets)));
  return results;
}

async function write(
  memory: Transaction["memory"],
  agentId: string,
  each: Exclude<Operation, Get>,
  record: boolean,
): Promise<Result> {
  if (each.op === "delete") {
    const { op, key: name, ...options } = each;
    return { op, key: name, existed: await memory.delete(agentId, name, { ...options, record }) };
  }
  const { op, key: name, value, ...options } = each;
  const { version } = await memory.set(agentId, name, value, { ...options, record });
  return { op, key: name, version };
}

async function read(
  memory: {
    getMany(agentId: string, keys: readonly string[]): Promise<readonly (MemoryEntry | null)[]>;
  },
  agentId: string,
  gets: readonly Get[],
): Promise<Result[]> {
  if (gets.length === 0) return [];
  const entries = await memory.getMany(
    agentId,
    gets.map((each) => each.key),
  );
  return gets.map((each, index) => ({ op: "get", key: each.key, entry: entries[index] ?? null }));
}
