/**
 * `npm test`: sets the checkout up where needed, then runs the whole suite in this very process. Arguments after `--`
 * go to vitest. Type errors are `npm run typecheck`'s business and stop no test.
 */
import { root, setUp } from "./setup.mjs";

await setUp(".", { allowTypeErrors: true });
process.chdir(root);
const vitest = new URL("../node_modules/vitest/vitest.mjs", import.meta.url);
process.argv = [process.execPath, vitest.pathname, "run", ...process.argv.slice(2)];
await import(vitest.href);
