import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { durabilityWarning, moveHint, storageLine } from "../../src/banner.ts";
import { readConfig } from "../../src/config.ts";
import { ServerStartError } from "../../src/errors.ts";
import { parseEntityTags } from "../../src/http/entity-tags.ts";
import { isOnVolume } from "../../src/volume.ts";

describe("readConfig", () => {
  it("listens on localhost:3000 by default", () => {
    expect(readConfig({})).toEqual({
      adminKey: null,
      corsOrigins: [],
      rateLimits: { perAddress: 12_000, perKey: 6000 },
      trustedProxies: 0,
      checkpoints: { anchors: [] },
      host: "localhost",
      port: 3000,
      logLevel: "info",
      autoMigrate: false,
      encryptionKey: null,
      filesDirectory: resolve(".codespar"),
      platform: null,
    });
  });

  it.each([
    [{ RAILWAY_ENVIRONMENT: "production" }, "Railway"],
    [{ DYNO: "web.1" }, "Heroku"],
    [{ FLY_APP_NAME: "app" }, "Fly.io"],
    [{ CODESPAR_PLATFORM: "a container" }, "a container"],
  ])("listens on all addresses with %j", (environment, platform) => {
    expect(readConfig(environment)).toMatchObject({ host: "::", platform });
    expect(readConfig({ ...environment, HOST: "10.0.0.1" })).toMatchObject({ host: "10.0.0.1" });
  });

  it.each([
    { PORT: "http" },
    { PORT: "" },
    { PORT: "70000" },
    { PORT: "-1" },
    { HOST: "" },
    { LOG_LEVEL: "loud" },
    { CODESPAR_AUTO_MIGRATE: "yes" },
    { CODESPAR_PLATFORM: "" },
    { CODESPAR_ADMIN_KEY: "" },
    { CODESPAR_ADMIN_KEY: "only-thirty-one-characters-long" },
    { CODESPAR_ADMIN_KEY: "with spaces in between, though long enough" },
    { CODESPAR_ADMIN_KEY: `csk_${"x".repeat(40)}` },
    { CORS_ORIGIN: "" },
    { CORS_ORIGIN: "*" },
    { CORS_ORIGIN: "null" },
    { CORS_ORIGIN: "app.example.com" },
    { CORS_ORIGIN: "https://app.example.com/" },
    { CORS_ORIGIN: "https://app.example.com,*" },
    { CORS_ORIGIN: "https://APP.example.com" },
    { CODESPAR_RATE_LIMIT_PER_KEY: "many" },
    { CODESPAR_RATE_LIMIT_PER_ADDRESS: "-1" },
    { CODESPAR_TRUSTED_PROXIES: "11" },
    { CODESPAR_CHECKPOINT_ENTRIES: "0" },
    { CODESPAR_CHECKPOINT_ENTRIES: "1000001" },
    { CODESPAR_CHECKPOINT_SECONDS: "0" },
    { CODESPAR_CHECKPOINT_SECONDS: "often" },
    { CODESPAR_ANCHOR_DIR: "" },
    { CODESPAR_ANCHOR_URL: "" },
    { CODESPAR_ANCHOR_URL: "ftp://example.com/" },
  ])("refuses %j and names the variable", (environment) => {
    const [name = ""] = Object.keys(environment);
    expect(() => readConfig(environment)).toThrow(ServerStartError);
    expect(() => readConfig(environment)).toThrow(name);
  });

  it("reads where checkpoints go, and how often", () => {
    const { checkpoints } = readConfig({
      CODESPAR_CHECKPOINT_ENTRIES: "5",
      CODESPAR_CHECKPOINT_SECONDS: "7",
      CODESPAR_ANCHOR_DIR: "anchors",
      CODESPAR_ANCHOR_URL: "https://example.com/keep",
    });
    expect(checkpoints).toEqual({
      everyEntries: 5,
      everySeconds: 7,
      anchors: [{ directory: resolve("anchors") }, { url: "https://example.com/keep" }],
    });
  });

  it("keeps the admin key to itself", () => {
    const key = "k".repeat(32);
    const { adminKey } = readConfig({ CODESPAR_ADMIN_KEY: key });
    expect(adminKey?.reveal()).toBe(key);
    expect(JSON.stringify(adminKey)).not.toContain(key);
    const wrong = "too-short-hunter2";
    expect(() => readConfig({ CODESPAR_ADMIN_KEY: wrong })).not.toThrow(wrong);
    expect(() => readConfig({ CODESPAR_ADMIN_KEY: wrong })).toThrow("openssl rand -base64 32");
  });

  it("takes what callers may do from elsewhere", () => {
    expect(
      readConfig({
        CORS_ORIGIN: "https://app.example.com, http://localhost:5173",
        CODESPAR_RATE_LIMIT_PER_KEY: "10",
        CODESPAR_RATE_LIMIT_PER_ADDRESS: "0",
      }),
    ).toMatchObject({
      corsOrigins: ["https://app.example.com", "http://localhost:5173"],
      rateLimits: { perAddress: 0, perKey: 10 },
    });
  });

  it.each([
    [{}, 0],
    [{ CODESPAR_PLATFORM: "Docker" }, 0],
    [{ DYNO: "web.1" }, 1],
    [{ FLY_APP_NAME: "app" }, 2],
    [{ FLY_APP_NAME: "app", CODESPAR_TRUSTED_PROXIES: "3" }, 3],
  ])("trusts as many proxies with %j as stand there", (environment, trustedProxies) => {
    expect(readConfig(environment)).toMatchObject({ trustedProxies });
  });
});

describe("isOnVolume", () => {
  const root = "1 0 0:1 / / rw - overlay overlay rw";
  const temporary = "2 1 0:2 / /tmp rw - tmpfs tmpfs rw";

  it("takes the innermost mount", () => {
    expect(isOnVolume("/usr/lib", root)).toBe(false);
    expect(isOnVolume("/usr/lib", `${root}\n3 1 8:1 / /usr rw shared:1 - ext4 /dev/vdb rw`)).toBe(
      true,
    );
    expect(isOnVolume("/usr/lib", `${root}\n3 1 8:1 / /us rw - ext4 /dev/vdb rw`)).toBe(false);
    expect(isOnVolume("/tmp", `${root}\n${temporary}`)).toBe(false);
    expect(
      isOnVolume(
        "/tmp/not/there/yet",
        `${root}\n${temporary}\n4 2 8:1 / /tmp/not rw - ext4 /dev/vdb rw`,
      ),
    ).toBe(false);
    expect(isOnVolume("/usr/lib", "")).toBe(false);
  });

  it("warns only for files on a platform", () => {
    const files = { backend: "file", directory: "/no-such-folder/files" } as const;
    expect(durabilityWarning(files, null)).toBeUndefined();
    expect(durabilityWarning(files, "Heroku")).toContain("DATABASE_URL");
    expect(
      durabilityWarning({ backend: "postgres", databaseUrl: "postgres://h/d" }, "Heroku"),
    ).toBeUndefined();
  });
});

describe("storageLine", () => {
  it("names folder or database, never the password", () => {
    expect(storageLine({ backend: "file", directory: "/data" })).toBe("storage: files /data");
    const databaseUrl = "postgres://user:hunter2@db.example:5433/app?sslmode=require";
    expect(storageLine({ backend: "postgres", databaseUrl })).toBe(
      "storage: postgres db.example:5433/app",
    );
    expect(moveHint({ backend: "postgres", databaseUrl }, "/no/such/folder")).toBeUndefined();
  });
});

describe("parseEntityTags", () => {
  it("reads what RFC 9110 allows", () => {
    expect(parseEntityTags("If-Match", " * ")).toBe("*");
    expect(parseEntityTags("If-Match", '"a", W/"b",,\t"c,d"')).toEqual([
      { weak: false, version: "a" },
      { weak: true, version: "b" },
      { weak: false, version: "c,d" },
    ]);
    expect(parseEntityTags("If-Match", '""')).toEqual([{ weak: false, version: "" }]);
  });
});
