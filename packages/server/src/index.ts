export { buildServer, type ServerOptions } from "./app.ts";
export type { App } from "./app-types.ts";
export { logLevels, readConfig, type ServerConfig } from "./config.ts";
export { ServerStartError } from "./errors.ts";
export { type RunningServer, type StartOptions, startServer } from "./start.ts";
