import { randomBytes } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { cliInNewFolder } from "../support/run-cli.ts";
import { Client } from "./client.ts";
import { commands, misuse } from "./commands.ts";
import { type Ground, grounds } from "./ground.ts";
import { Processes } from "./processes.ts";
import { exercise } from "./requests.ts";
import { apiKey, plantedTokens, sealingKey, type Token, token } from "./tokens.ts";
import { Written } from "./written.ts";

/*
 * Plants secrets through library, server and command line, and then looks for them in everything that anybody but the operator could read. The
 * canary goes the same ways in clear: that it is found in each kind of place shows that the search sees it.
 */
describe.each(Object.entries(grounds))("planted tokens on %s", (name, open) => {
  it("are nowhere but where they belong", async () => {
    const planted = plantedTokens();
    const { canary, ...secrets } = planted;
    const tokens: Token[] = Object.values(secrets);
    const written = new Written();
    await using cli = await cliInNewFolder();
    await using ground: Ground = await open(planted, cli.folder);
    const temporary = join(cli.folder, "tmp");
    await mkdir(temporary);
    const env = { ...ground.env, LOG_LEVEL: "trace", TMPDIR: temporary };
    const withAdmin = { ...env, CODESPAR_ADMIN_KEY: planted.admin.text };
    const processes = new Processes(cli, written, withAdmin);
    const orgId = `org-${randomBytes(4).toString("hex")}`;

    if (name === "postgres") expect(await processes.runApart(["migrate"])).toBe(0);
    const { credential, slack } = planted;
    const input = { orgId, credential: credential.text, slack: slack.text, canary: canary.text };
    tokens.push(await processes.runLibrary(input, (text) => apiKey("the library's API key", text)));

    const server = await processes.startServer();
    const client = new Client(server.url, written);
    const keys = tokens.slice(-1);
    tokens.push(...(await exercise(client, orgId, planted, keys)));
    await ground.look(written);
    await ground.whileBroken(async () => {
      const headers = { authorization: `Bearer ${planted.admin.text}`, "x-org-id": orgId };
      const body = { credentials: { token: planted.viaHttp.text } };
      const call = { method: "PUT", path: "/api/integrations/sentry", headers, body };
      expect((await client.send(call)).status).toBeGreaterThanOrEqual(500);
    });
    await written.addProcesses();
    const handedOut: Record<string, Token[]> = await keptInFiles(cli.folder, name);
    await server.kill();

    const status = await processes.runApart(["keys", "create", "cli", "--org", orgId], {
      // By contract: what it prints is the key.
      handsOut: (output) => {
        tokens.push(apiKey("the command line's API key", output.trim()));
        return tokens.slice(-1);
      },
    });
    expect(status).toBe(0);
    for (const [args, more] of misuse(orgId, planted, keys[0] ?? canary)) {
      // What a server logs goes past this process's own streams.
      const ended = await (args[0] === "start"
        ? processes.runApart(args, { env: more ?? {} })
        : processes.run(args, more));
      expect(ended, args.join(" ").slice(0, 40)).not.toBe(0);
    }
    for (const args of commands(cli.folder, orgId, planted))
      expect(await processes.run(args), args.join(" ").slice(0, 40)).toBe(0);
    await processes.runApart(["memory", "get", canary.text, canary.text, "--org", orgId]);

    tokens.push(...Object.values(handedOut).flat());
    const rotated = { CODESPAR_ENCRYPTION_KEY: `${planted.nextKey.text},${planted.key.text}` };
    expect(await processes.run(["secrets", "rotate"], name === "postgres" ? rotated : {})).toBe(0);
    // What was kept beside the files is gone with the rotation.
    delete handedOut[keyFile];
    Object.assign(handedOut, await keptInFiles(cli.folder, name));
    tokens.push(...Object.values(handedOut).flat());

    await written.addFolder("files", cli.folder, handedOut);
    await ground.collect(written);
    expect(written.findings(tokens)).toEqual([]);
    expect(written.kindsWith(canary)).toEqual([...ground.kinds].sort());
  }, 300_000);
});

const keyFile = ".codespar/keys/encryption.key";
const lockFile = ".codespar/codespar.lock";

/** The secrets that files exist to keep, by these files: the key that seals them, and what the command line shows to the server that holds them. */
async function keptInFiles(folder: string, name: string): Promise<Record<string, Token[]>> {
  if (name !== "files") return {};
  const key = (await readFile(join(folder, keyFile), "utf8")).trim();
  const kept = { [keyFile]: [sealingKey("the key beside the files", key)] };
  const lock = await readFile(join(folder, lockFile), "utf8").catch(() => null);
  if (lock === null) return kept;
  const { serverToken } = JSON.parse(lock) as { serverToken: string | null };
  return {
    ...kept,
    [lockFile]: serverToken === null ? [] : [token("the server's token", serverToken)],
  };
}
