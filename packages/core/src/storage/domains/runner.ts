import { type OptionNames, optionNames } from "../option-names.ts";
import type { CallOptions } from "../options.ts";
import { checkOptionNames } from "../validation.ts";
import type { HandleContext } from "./context.ts";
import { runTransaction } from "./run-transaction.ts";
import type { UnitOfWork } from "./unit-of-work.ts";

/**
 * How a domain's verbs run: each in a transaction of its own on a handle, all in one inside `storage.transaction`. A verb is written
 * once, as a function of a unit of work.
 */
export interface Runner {
  readonly context: HandleContext;
  run<Result>(
    verb: (unit: UnitOfWork) => Promise<Result>,
    options: CallOptions | undefined,
    /** The options that the verb takes, where it takes more than all calls do. */
    names?: OptionNames,
  ): Promise<Result>;
}

/** Each verb in a transaction of its own. */
export function ownTransactions(context: HandleContext): Runner {
  return {
    context,
    run: async (verb, options, names) =>
      (await runTransaction(context, verb, options, names)).value,
  };
}

/** All verbs in the transaction that `unit` collects. */
export function withinTransaction(unit: UnitOfWork): Runner {
  return {
    context: unit.context,
    run: async (verb, options, names = optionNames.call) => {
      checkOptionNames(options, names);
      return verb(unit);
    },
  };
}
