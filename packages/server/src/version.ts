import { readFileSync } from "node:fs";
import { z } from "zod";

const manifest = new URL("../package.json", import.meta.url);

/** This package's version, as health and the API's description say it. */
export const version = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(manifest, "utf8"))).version;
