import type { ChannelConfig } from "../../domain/channel.ts";
import type { JsonValue } from "../../domain/memory.ts";
import { channelConfigSchema, integrationSchema } from "../../domain/schemas.ts";
import type { StoredRecord } from "../backend.ts";
import { optionNames } from "../option-names.ts";
import type { ChannelConfigs } from "../storage.ts";
import type { SealedRef } from "../stored-keys.ts";
import { parse } from "../validation.ts";
import { encodeValue } from "../values.ts";
import { automaticEntry } from "./audit-entries.ts";
import { metaOf } from "./context.ts";
import { tableListing } from "./listing.ts";
import { assertPreconditions, putRecord, readShown } from "./record-verbs.ts";
import type { Runner } from "./runner.ts";
import { deleteSecrets, readSecrets, sealSecrets, secretNames } from "./sealed-secrets.ts";

/** Integration credentials on a handle. */
export function channelConfigsDomain(runner: Runner): ChannelConfigs {
  return {
    ...channelConfigVerbs(runner),
    getCredentials: (integration, options) =>
      readSecrets(
        runner,
        () => channelRef(integration),
        () => subject(integration),
        options,
      ),
    list: (options) =>
      tableListing(runner.context, options, () => ({
        table: "channel_configs",
        show: showChannel,
      })),
  };
}

/** The verbs that also work inside a transaction. */
export function channelConfigVerbs(
  runner: Runner,
): Omit<ChannelConfigs, "list" | "getCredentials"> {
  return {
    set: (integration, config, options) =>
      runner.run(
        async (unit) => {
          const ref = channelRef(integration);
          const { credentials, settings = {} } = parse(channelConfigSchema, config, "config");
          const columns = {
            settings: encodeValue(settings, "config.settings", unit.context.maxValueBytes),
            credential_names: secretNames(credentials),
            credentials: await sealSecrets(unit.context, ref, credentials),
          };
          const before = await unit.read(ref);
          assertPreconditions(ref, before, options);
          const record = putRecord(unit, ref, before, columns);
          const action = before === null ? "integration.configured" : "integration.updated";
          unit.append(
            automaticEntry(
              unit.context.actor,
              { action, ...subject(integration) },
              { credentials: Object.keys(credentials).sort() },
            ),
          );
          return showChannel(record);
        },
        options,
        optionNames.write,
      ),
    get: (integration, options) =>
      runner.run(async (unit) => readShown(unit, channelRef(integration), showChannel), options),
    delete: (integration, options) =>
      runner.run(
        async (unit) => {
          const said = { action: "integration.removed", ...subject(integration) } as const;
          return deleteSecrets(unit, channelRef(integration), options, said);
        },
        options,
        optionNames.delete,
      ),
  };
}

function channelRef(integration: string): SealedRef {
  return { table: "channel_configs", key: [parse(integrationSchema, integration, "integration")] };
}

function subject(integration: string) {
  return { target: { type: "integration", id: integration } };
}

function showChannel(record: StoredRecord): ChannelConfig {
  return {
    integration: record.key[0] ?? "",
    settings: JSON.parse(String(record.columns["settings"])) as Record<string, JsonValue>,
    credentialNames: JSON.parse(String(record.columns["credential_names"])) as string[],
    ...metaOf(record),
  };
}
