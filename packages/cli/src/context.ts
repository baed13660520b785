import type { Command } from "commander";

/** The options that all commands share. */
export interface Context {
  /** The organisation of `--org`; the library's default when absent. */
  readonly org?: string;
  /** The server of `--server`. */
  readonly server?: string;
  readonly json: boolean;
}

/** Reads the options that all commands share. */
export function contextOf(command: Command): Context {
  const { org, server, json } = command.optsWithGlobals<{
    org?: string;
    server?: string;
    json?: true;
  }>();
  return {
    ...(org !== undefined && { org }),
    ...(server !== undefined && { server }),
    json: json === true,
  };
}
