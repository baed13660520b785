import { mkdir, realpath, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { removeScratch, scratchFolder } from "@codespar/tooling/secrets";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findEnvFile, typedFolder } from "../../src/config.ts";

let folder: string;

beforeEach(async () => {
  folder = await realpath(await scratchFolder("config"));
});

afterEach(async () => {
  await removeScratch(folder);
});

describe("the folder that the command was typed in", () => {
  it("is INIT_CWD where npm has moved the process into the package", () => {
    expect(typedFolder("/package", "/package/package.json", folder)).toBe(folder);
  });

  it("is the working directory without npm, and for a process that went elsewhere", () => {
    expect(typedFolder("/elsewhere", undefined, folder)).toBe("/elsewhere");
    expect(typedFolder("/elsewhere", "/package/package.json", folder)).toBe("/elsewhere");
  });

  it("is the working directory when INIT_CWD names nothing that exists", () => {
    expect(typedFolder("/package", "/package/package.json", join(folder, "gone"))).toBe("/package");
  });
});

describe("the .env file", () => {
  it("is the nearest one up to the repository's root", async () => {
    const deep = join(folder, "repository", "packages", "one");
    await mkdir(deep, { recursive: true });
    await mkdir(join(folder, "repository", ".git"));
    await writeFile(join(folder, "repository", ".env"), "");
    expect(findEnvFile(deep)).toBe(join(folder, "repository", ".env"));
    await writeFile(join(deep, ".env"), "");
    expect(findEnvFile(deep)).toBe(join(deep, ".env"));
  });

  it("is never one above the repository, nor of a parent folder outside of one", async () => {
    const inside = join(folder, "repository");
    await mkdir(join(inside, ".git"), { recursive: true });
    await mkdir(join(folder, "plain"));
    await writeFile(join(folder, ".env"), "");
    expect(findEnvFile(inside)).toBeUndefined();
    expect(findEnvFile(join(folder, "plain"))).toBeUndefined();
  });
});
