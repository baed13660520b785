import type { App } from "./app-types.ts";
import type { ServerConfig } from "./config.ts";
import { ServerStartError } from "./errors.ts";

/**
 * Opens the port.
 *
 * @returns the URL for callers on this machine
 * @throws ServerStartError with the remedy
 */
export async function listen(
  app: App,
  { host, port }: Pick<ServerConfig, "host" | "port">,
): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    // A container without IPv6 has no `::`.
    if (host === "::" && codeOf(error) === "EAFNOSUPPORT")
      return await listen(app, { host: "0.0.0.0", port });
    const configuration = unusable.has(codeOf(error));
    throw new ServerStartError(whyNot(error, host, port), { cause: error, configuration });
  }
  return urlOf(app, host);
}

function urlOf(app: App, host: string): string {
  const address = app.server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const everywhere = host === "::" || host === "0.0.0.0";
  const name = everywhere ? "localhost" : host;
  return `http://${name.includes(":") ? `[${name}]` : name}:${port}`;
}

/** What another HOST or PORT cures, and nothing else. */
const unusable = new Set<unknown>(["EACCES", "EADDRNOTAVAIL", "ENOTFOUND"]);

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

function whyNot(error: unknown, host: string, port: number): string {
  switch (codeOf(error)) {
    case "EADDRINUSE":
      return `Port ${port} on ${host} is taken. Stop what listens there, or choose another one: PORT=${port + 1}.`;
    case "EACCES":
      return `Port ${port} is reserved for privileged users. Choose one from 1024 on: PORT=3000.`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return `HOST=${host} is no address of this machine. Unset it for localhost, or set HOST=:: for all addresses.`;
    default:
      return `The server can't listen on ${host} port ${port}: ${error instanceof Error ? error.message : String(error)}`;
  }
}
