/**
 * `npm start`: sets the checkout up where needed, then runs the server in this very process, so that signals, exit
 * code and terminal are its own. Arguments after `--` go to `codespar start`.
 */
import { setUp } from "./setup.mjs";

await setUp("packages/cli");
const cli = new URL("../packages/cli/bin/codespar.js", import.meta.url);
process.argv = [process.execPath, cli.pathname, "start", ...process.argv.slice(2)];
await import(cli.href);
