import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { cliInNewFolder } from "../support/run-cli.ts";
import { Client } from "./client.ts";
import { erasing, misuse, reading } from "./commands.ts";
import { type Ground, grounds } from "./ground.ts";
import { type Environment, Processes } from "./processes.ts";
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
    // By contract: what it prints is the key.
    const handsOut = (output: string) => {
      tokens.push(apiKey(`API key ${tokens.length} of the command line`, output.trim()));
      return tokens.slice(-1);
    };
    const named = { CODESPAR_SERVER: server.url, CODESPAR_API_KEY: planted.admin.text };
    const read = async (where: string, more?: Environment) => {
      const folder = join(cli.folder, where);
      await mkdir(folder);
      await succeed(processes, reading(folder, orgId, planted), more);
    };
    await read("by the server that is named", named);
    // Files are reached through the server that holds them.
    await read("while a server runs");
    const create = ["keys", "create", "remote", "--org", orgId];
    expect(await processes.run(create, named, handsOut)).toBe(0);
    const mistakes = misuse(orgId, planted, keys[0] ?? canary);
    await fail(
      processes,
      mistakes.filter(isOnData).map(([args]) => [args, named]),
    );
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

    const made = await processes.runApart(["keys", "create", "cli", "--org", orgId], { handsOut });
    expect(made).toBe(0);
    await fail(processes, mistakes);
    await read("directly");
    for (const { args, env: more, status = 0 } of await ground.copying())
      expect(await processes.run(args, more), args.join(" ")).toBe(status);
    await succeed(processes, erasing(join(cli.folder, "directly"), orgId));
    await processes.runApart(["memory", "get", canary.text, canary.text, "--org", orgId]);

    tokens.push(...Object.values(handedOut).flat());
    const rotated = { CODESPAR_ENCRYPTION_KEY: `${planted.nextKey.text},${planted.key.text}` };
    const rotation: [string[], Environment?] =
      name === "postgres" ? [["secrets", "rotate"], rotated] : [["secrets", "rotate", "--new-key"]];
    expect(await processes.run(...rotation)).toBe(0);
    // The key that was kept beside the files is kept there as a retired one. Copies have it as it was.
    Object.assign(handedOut, await keptInFiles(cli.folder, name));
    tokens.push(...Object.values(handedOut).flat());

    await written.addFolder("files", cli.folder, handedOut);
    await ground.collect(written);
    expect(written.findings(tokens)).toEqual([]);
    expect(written.kindsWith(canary)).toEqual([...ground.kinds].sort());
  }, 300_000);
});

async function succeed(processes: Processes, commands: string[][], env?: Environment) {
  for (const args of commands)
    expect(await processes.run(args, env), args.join(" ").slice(0, 40)).toBe(0);
}

async function fail(processes: Processes, mistakes: readonly [string[], Environment?][]) {
  for (const [args, env] of mistakes) {
    // What a server logs goes past this process's own streams.
    const ended = await (args[0] === "start"
      ? processes.runApart(args, { env: env ?? {} })
      : processes.run(args, env));
    expect(ended, args.join(" ").slice(0, 40)).not.toBe(0);
  }
}

/** What works on data can be asked of a server as well. */
const isOnData = ([args, env]: ReturnType<typeof misuse>[number]) =>
  args.includes("--org") && env === undefined;

const keyFile = /(^|\/)keys\/(encryption|retired-[0-9a-f]{12})\.key$/;
const lockFile = ".codespar/codespar.lock";

/** The secrets that files exist to keep, by these files: the keys that seal them, and what the command line shows to the server that holds them. */
async function keptInFiles(folder: string, name: string): Promise<Record<string, Token[]>> {
  if (name !== "files") return {};
  const kept: Record<string, Token[]> = {};
  for (const path of await readdir(folder, { recursive: true })) {
    if (!keyFile.test(path)) continue;
    const key = (await readFile(join(folder, path), "utf8")).trim();
    kept[path] = [sealingKey(`the key in ${path}`, key)];
  }
  const lock = await readFile(join(folder, lockFile), "utf8").catch(() => null);
  if (lock === null) return kept;
  const { serverToken } = JSON.parse(lock) as { serverToken: string | null };
  return {
    ...kept,
    [lockFile]: serverToken === null ? [] : [token("the server's token", serverToken)],
  };
}
