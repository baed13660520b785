import { text } from "node:stream/consumers";
import { inspect } from "node:util";
import {
  apiKeyScopes,
  authenticateApiKey,
  createStorage,
  deploymentOf,
  KeyRing,
  Secret,
} from "@codespar/core";

/*
 * Run as a process of its own, on the storage that the environment names: stores what it reads from its input, prints whatever it gets, and ends
 * with an error that nobody catches.
 */
const { orgId, credential, slack, canary } = JSON.parse(await text(process.stdin)) as Record<
  "orgId" | "credential" | "slack" | "canary",
  string
>;
const storage = createStorage(orgId);
const { channelConfigs, slackInstallations, apiKeys, memory, audit } = storage;
const deployment = deploymentOf(storage);

function show(value: unknown): void {
  process.stdout.write(`${inspect(value, { depth: 20, showHidden: true, getters: true })}\n`);
  process.stderr.write(`${String(value)} ${JSON.stringify(value)}\n`);
  // biome-ignore lint/suspicious/noConsole: it formats in a way of its own
  console.log("%s %o %O %j", value, value, value, value);
}

await memory.set(canary, canary, canary, { record: true });
await channelConfigs.set("sentry", { credentials: { token: credential } });
await slackInstallations.set({ teamId: "T1", tokens: { botToken: slack } });
const issued = await apiKeys.create({ name: "library", scopes: apiKeyScopes });
const key = issued.token.reveal();
process.send?.(key);
const credentials = await channelConfigs.getCredentials("sentry");

const shown: unknown[] = [
  await memory.getEntry(canary, canary),
  storage,
  deployment,
  issued,
  credentials,
  await channelConfigs.get("sentry"),
  await channelConfigs.list(),
  await slackInstallations.getTokens({ teamId: "T1" }),
  await slackInstallations.list(),
  await apiKeys.list(),
  await authenticateApiKey(storage, key),
  await audit.list(),
  await audit.verify(),
  await deployment.secrets.status(),
  await storage.health(),
  structuredClone(issued.token),
];
shown.forEach(show);

const name = credential.replaceAll(/[^a-z]/g, "").toUpperCase();
const wrong: readonly (() => unknown)[] = [
  () => channelConfigs.set("sentry", credential as never),
  () => channelConfigs.set("sentry", { credentials: credential as never }),
  () => channelConfigs.set("sentry", { credentials: { token: [credential] as never } }),
  () => channelConfigs.set("sentry", { credentials: { token: `${credential}\ud800` } }),
  () => channelConfigs.set("sentry", { credentials: {} }, { ifVersion: credential }),
  () => channelConfigs.set(`${name}${credential}`, { credentials: {} }),
  () => channelConfigs.getCredentials(`${name}${credential}`),
  () => slackInstallations.set({ tokens: { botToken: slack } }),
  () => slackInstallations.set({ teamId: "T1", tokens: slack as never }),
  () =>
    slackInstallations.set({ teamId: "T1", tokens: { botToken: slack }, scopes: slack as never }),
  () => apiKeys.revoke(key),
  () => apiKeys.rotate(key),
  () => apiKeys.get(key),
  () => apiKeys.create({ name: "n", scopes: [key as never] }),
  () => apiKeys.create({ name: "n", scopes: ["read"], expiresAt: key }),
  () => authenticateApiKey(storage, `${key}x`),
  () => authenticateApiKey(storage, key.slice(0, -1)),
  () => memory.set("agent", "key", credentials),
  () => memory.set("agent", "key", 1, { ttlMs: credential as never }),
  () => audit.append({ action: "test.done", details: { issued } as never }),
  () => audit.append({ action: credential }),
  () => audit.list({ cursor: key }),
  () => createStorage("other", { encryptionKey: credential }),
  () => createStorage("other", { encryptionKey: `${KeyRing.generate()},${credential}` }),
  () => createStorage("other", { databaseUrl: `postgres://user:${slack}@host:port/database` }),
  () => createStorage("other", { databaseUrl: `postgres//user:${slack}@host/database` }),
  () => createStorage("other", { directory: new Secret(slack) as never }),
  () => storage.transaction(async (tx) => tx.channelConfigs.set("sentry", credential as never)),
];
for (const call of wrong) {
  try {
    show(await call());
  } catch (error) {
    show(error);
  }
}

throw Object.assign(new Error("nobody catches this", { cause: { storage, issued } }), {
  storage,
  deployment,
  issued,
  credentials,
});
