import { createReadStream, createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { json } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { createStorage, deploymentOf, type StorageOptions } from "../../src/index.ts";

/** What a process is to do. */
export interface Task {
  readonly what: "export" | "import";
  readonly orgId: string;
  readonly options: StorageOptions;
  readonly file: string;
}

/* Run as a process of its own, with little memory: exports or imports an organisation. The task comes on its input, since keys are in it. */
const { what, orgId, options, file } = (await json(process.stdin)) as Task;
await using storage = createStorage(orgId, options);
const { organisations } = deploymentOf(storage);
if (what === "export") {
  await pipeline(Readable.from(await organisations.export(orgId)), createWriteStream(file));
} else {
  await organisations.import(orgId, () => createReadStream(file));
}
