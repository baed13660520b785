import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createStorage } from "../../src/index.ts";
import { temporaryFolder } from "./support.ts";

it("is one storage under all of its names, before it is made and after", async () => {
  const folder = await temporaryFolder();
  const link = join(await temporaryFolder(), "link");
  await symlink(folder, link);
  for (const name of ["first", "second"]) {
    await using storage = createStorage("acme", { directory: join(folder, "store") });
    await using other = createStorage("acme", { directory: join(link, "store") });
    await storage.memory.set("a", name, 1);
    expect(await other.memory.get("a", name)).toBe(1);
  }
});
