import { slackInstallationSchema, slackQuerySchema } from "../../domain/schemas.ts";
import type { SlackInstallation, SlackInstallationQuery } from "../../domain/slack.ts";
import { invalid } from "../../errors/storage-error.ts";
import type { StoredRecord } from "../backend.ts";
import { optionNames } from "../option-names.ts";
import type { SlackInstallations } from "../storage.ts";
import type { SealedRef } from "../stored-keys.ts";
import { parse } from "../validation.ts";
import { automaticEntry } from "./audit-entries.ts";
import { metaOf } from "./context.ts";
import { tableListing } from "./listing.ts";
import { assertPreconditions, putRecord, readShown } from "./record-verbs.ts";
import type { Runner } from "./runner.ts";
import { deleteSecrets, readSecrets, sealSecrets, secretNames } from "./sealed-secrets.ts";

/** Slack installations on a handle. */
export function slackInstallationsDomain(runner: Runner): SlackInstallations {
  return {
    ...slackInstallationVerbs(runner),
    getTokens: (query, options) => readSecrets(runner, () => queryRef(query), subject, options),
    list: (options) =>
      tableListing(runner.context, options, () => ({
        table: "slack_installations",
        show: showInstallation,
      })),
  };
}

/** The verbs that also work inside a transaction. */
export function slackInstallationVerbs(
  runner: Runner,
): Omit<SlackInstallations, "list" | "getTokens"> {
  return {
    set: (installation, options) =>
      runner.run(
        async (unit) => {
          const parsed = parse(slackInstallationSchema, installation, "installation");
          const ref = installationRef(parsed);
          const now = new Date(unit.call.now).toISOString();
          const before = await unit.read(ref);
          assertPreconditions(ref, before, options);
          const columns = {
            team_id: parsed.teamId ?? null,
            enterprise_id: parsed.enterpriseId ?? null,
            is_enterprise_install: parsed.isEnterpriseInstall ?? false,
            team_name: parsed.teamName ?? null,
            app_id: parsed.appId ?? null,
            bot_user_id: parsed.botUserId ?? null,
            scopes: JSON.stringify(parsed.scopes ?? []),
            token_names: secretNames(parsed.tokens),
            tokens: await sealSecrets(unit.context, ref, parsed.tokens),
            installed_at: before === null ? now : String(before.columns["installed_at"]),
          };
          const record = putRecord(unit, ref, before, columns, { claims: ref.key });
          const action = before === null ? "slack.installed" : "slack.updated";
          unit.append(
            automaticEntry(
              unit.context.actor,
              { action, ...subject(ref) },
              { tokens: Object.keys(parsed.tokens).sort() },
            ),
          );
          return showInstallation(record);
        },
        options,
        optionNames.write,
      ),
    get: (query, options) =>
      runner.run(async (unit) => readShown(unit, queryRef(query), showInstallation), options),
    delete: (query, options) =>
      runner.run(
        async (unit) => {
          const ref = queryRef(query);
          const said = { action: "slack.uninstalled", ...subject(ref) } as const;
          return deleteSecrets(unit, ref, options, said, { releases: ref.key });
        },
        options,
        optionNames.delete,
      ),
  };
}

function queryRef(query: SlackInstallationQuery): SealedRef {
  return installationRef(parse(slackQuerySchema, query, "query"));
}

/** A workspace's installation goes by its team, an organisation-wide one by its enterprise even when a query also names a team. */
export function installationRef(query: {
  teamId?: string | undefined;
  enterpriseId?: string | undefined;
  isEnterpriseInstall?: boolean | undefined;
}): SealedRef {
  const byEnterprise = query.isEnterpriseInstall === true || query.teamId === undefined;
  const id = byEnterprise ? query.enterpriseId : query.teamId;
  if (id === undefined) {
    const needed = query.isEnterpriseInstall === true ? "enterpriseId" : "teamId or enterpriseId";
    throw invalid(`A Slack installation is named by its ${needed}: give it.`);
  }
  return { table: "slack_installations", key: [`${byEnterprise ? "enterprise" : "team"}:${id}`] };
}

function subject(ref: SealedRef) {
  return { target: { type: "slack_installation", id: ref.key[0] ?? "" } };
}

function showInstallation(record: StoredRecord): SlackInstallation {
  const { columns } = record;
  const text = (column: string) => columns[column] as string | null;
  return {
    teamId: text("team_id"),
    enterpriseId: text("enterprise_id"),
    isEnterpriseInstall: columns["is_enterprise_install"] === true,
    teamName: text("team_name"),
    appId: text("app_id"),
    botUserId: text("bot_user_id"),
    scopes: JSON.parse(String(columns["scopes"])) as string[],
    tokenNames: JSON.parse(String(columns["token_names"])) as string[],
    installedAt: String(columns["installed_at"]),
    ...metaOf(record),
  };
}
