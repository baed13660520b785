import { type Command, Option } from "commander";
import { parseDuration } from "../../values.ts";

/** When a key ends, as flags say it. */
export interface ExpiryFlags {
  readonly expiresIn?: number;
  readonly expiresAt?: string;
}

/** Adds the flags that say when a key ends. */
export function withExpiry(command: Command, byDefault: string): Command {
  return command
    .addOption(
      new Option("--expires-in <duration>", `for example 12h, 90d; ${byDefault}`)
        .argParser(parseDuration)
        .conflicts("expiresAt"),
    )
    .option("--expires-at <instant>", "for example 2030-01-31T12:00:00Z");
}

/** The end as a key takes it. */
export function expiryOf({ expiresIn, expiresAt }: ExpiryFlags): { expiresAt?: Date | string } {
  const until = expiresIn === undefined ? expiresAt : new Date(Date.now() + expiresIn);
  return until === undefined ? {} : { expiresAt: until };
}
