import { ExpectationFailed } from "../backend.ts";
import type { ResealStep } from "../secrets-port.ts";
import { sealedColumns } from "../stored-keys.ts";
import { sortKey } from "./key-order.ts";
import { encodePut } from "./operations.ts";
import { type Plan, type PlanTarget, planStaged, type StagedWrite } from "./plan.ts";

/**
 * Plans one step of sealing anew, as `planCommit` plans a commit.
 *
 * @throws ExpectationFailed, StorageError `LIMIT_EXCEEDED`
 */
export function planReseal(target: PlanTarget, step: ResealStep, nowMs: number): Plan {
  return planStaged(target, { entries: step.entries, erased: [] }, nowMs, (undo) =>
    step.envelopes.map(({ table: name, key, from, to }): StagedWrite => {
      const table = target.tables[name];
      const before = table.staged(sortKey(key));
      const column = sealedColumns[name];
      if (before?.columns[column] !== from)
        throw new ExpectationFailed({ table: name, key }, before?.version ?? null);
      const after = { ...before, columns: { ...before.columns, [column]: to } };
      undo.push(table.stage(sortKey(key), after));
      const { createdAt, updatedAt } = after;
      const result = { kind: "put", created: false, createdAt, updatedAt } as const;
      return { line: encodePut(name, after), result, before, after };
    }),
  );
}
