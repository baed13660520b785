import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toInstant } from "../../src/domain/instant.ts";
import { isBranchName } from "../../src/domain/repository.ts";
import { emailSchema } from "../../src/domain/schemas.ts";
import { textProblem } from "../../src/domain/text.ts";
import { parseRepository, StorageError } from "../../src/index.ts";
import { decodeCursor, encodeCursor } from "../../src/storage/cursor.ts";

const rounds = Number(process.env["CODESPAR_TEST_ROUNDS"] ?? 1);
const runs = { numRuns: 500 * rounds };
/** Any JavaScript string, lone surrogates included. */
const anyText = fc.string({
  unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
});

describe("repository URLs", () => {
  const name = fc
    .stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,30}[A-Za-z0-9]$/)
    .filter((text) => !/\.git$/i.test(text));
  const host = fc.constantFrom("github.com", "gitlab.com", "bitbucket.org");

  test("every way to write one repository gives one form", () => {
    fc.assert(
      fc.property(
        host,
        fc.array(name, { minLength: 1, maxLength: 3 }),
        name,
        (where, groups, repository) => {
          const owner = where === "gitlab.com" ? groups.join("/") : (groups[0] ?? "");
          const path = `${owner}/${repository}`;
          const expected = {
            host: where,
            owner,
            name: repository,
            url: `https://${where}/${path}`,
          };
          const forms = [
            `https://${where}/${path}`,
            `https://${where}/${path}/`,
            `https://${where}/${path}.git`,
            `http://www.${where}/${path}`,
            `https://${where}:443/${path}`,
            `ssh://git@${where}/${path}.git`,
            `ssh://git@${where}:22/${path}`,
            `git+ssh://git@${where}/${path}.git`,
            `git@${where}:${path}.git`,
            `  git@${where.toUpperCase()}:${path}\n`,
            ...(where === "github.com" ? [path, `${path}.git`] : []),
          ];
          for (const form of forms) expect(parseRepository(form), form).toEqual(expected);
          expect(parseRepository(expected.url)).toEqual(expected);
        },
      ),
      runs,
    );
  });

  test("whatever is accepted is a plain URL of a known host, and reads the same again", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          anyText,
          fc.webUrl(),
          fc.tuple(host, anyText).map(([where, text]) => `https://${where}/${text}`),
          fc.tuple(host, name, name).map(([where, ...path]) => `${where}/${path.join("/")}`),
          fc.tuple(name, anyText).map(([owner, text]) => `${owner}/x${text}`),
          fc.tuple(name, name).map((path) => path.join("/")),
        ),
        (text) => {
          const parsed = parseRepository(text);
          if (parsed === null) return;
          expect(parsed.url).toMatch(
            /^https:\/\/(github\.com|gitlab\.com|bitbucket\.org)(\/[A-Za-z0-9._-]+){2,}$/,
          );
          expect(parsed.url).not.toMatch(/\/\.{1,2}(\/|$)/);
          expect(parseRepository(parsed.url)).toEqual(parsed);
        },
      ),
      runs,
    );
  });

  test("what isn't one is refused", () => {
    const wrong = [
      "",
      "/",
      "acme",
      "acme/",
      "/app",
      "acme/app/extra",
      "https://github.com/acme",
      "https://github.com/acme/app/tree/main",
      "https://github.com/acme/app?x=1",
      "https://github.com/acme/app#readme",
      "https://github.com.example.com/acme/app",
      "https://github.com:8443/acme/app",
      "http://github.com:443/acme/app",
      "ssh://git@github.com:2222/acme/app",
      "https://user:password@github.com/acme/app",
      "https://token@github.com/acme/app",
      "ssh://git:password@github.com/acme/app",
      "https://example.com/acme/app",
      "https://github.com@example.com/acme/app",
      "git@example.com:acme/app",
      "ftp://github.com/acme/app",
      "file:///acme/app",
      "javascript:alert(1)",
      "acme/..",
      "acme/.",
      "../app",
      "acme/app name",
      "acme/app\u0000",
      "acme/%2e%2e",
      "https://github.com/acme/%2e%2e/app",
      "https://github.com//app",
      "git@github.com:/",
      `acme/${"x".repeat(200)}`,
    ];
    for (const text of wrong) expect(parseRepository(text), text).toBeNull();
  });
});

describe("names of branches", () => {
  test("are accepted exactly when git accepts them", () => {
    const special = fc.constantFrom(
      ..."/.@{-lockHEAD~^:?*[\\ \u007fä}".split(""),
      "..",
      ".lock",
      "@{",
    );
    const likely = fc.array(special, { minLength: 1, maxLength: 6 }).map((parts) => parts.join(""));
    const fixed = [
      "main",
      "feature/a-b_1.2",
      "HEAD",
      "@",
      "-a",
      "a/",
      "a.lock",
      "a.lock/b",
      "a/.b",
    ];
    const names = [...fixed, ...fc.sample(likely, 150)];
    const git = (name: string) =>
      // Outside of any repository, where `@{-1}` can't stand for a branch.
      spawnSync("git", ["check-ref-format", "--branch", name], { cwd: tmpdir() });
    if (git("main").error !== undefined) return;
    for (const name of names.filter((each) => each !== "@"))
      expect(isBranchName(name), name).toBe(git(name).status === 0);
    // Git reads it as HEAD here, and lets no branch be called so.
    expect(isBranchName("@")).toBe(false);
  });
});

describe("cursors", () => {
  const scope = fc.array(fc.oneof(fc.string(), fc.boolean(), fc.constant(undefined)), {
    minLength: 1,
    maxLength: 5,
  });
  const key = fc
    .string({ unit: "binary", minLength: 1, maxLength: 100 })
    .filter((text) => textProblem(text, 512) === null);

  test("round-trip within their scope", () => {
    fc.assert(
      fc.property(scope, fc.array(key, { minLength: 1, maxLength: 3 }), (where, after) => {
        const cursor = encodeCursor(where, after);
        expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(decodeCursor(where, cursor, after.length)).toEqual(after);
      }),
      runs,
    );
  });

  test("are refused in any other scope", () => {
    fc.assert(
      fc.property(scope, scope, key, (one, other, after) => {
        const same =
          JSON.stringify(one.map((part) => part ?? null)) ===
          JSON.stringify(other.map((part) => part ?? null));
        fc.pre(!same);
        expect(() => decodeCursor(other, encodeCursor(one, [after]), 1)).toThrow(
          /another organisation/,
        );
      }),
      runs,
    );
  });

  test("anything else is VALIDATION, never another error", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          anyText,
          fc.base64String(),
          fc.anything(),
          fc.json().map((json) => Buffer.from(json).toString("base64url")),
        ),
        (cursor) => {
          try {
            decodeCursor(["org"], cursor, 1);
          } catch (error) {
            expect(StorageError.is(error, "VALIDATION")).toBe(true);
            return;
          }
          expect.fail("accepted");
        },
      ),
      runs,
    );
  });
});

describe("instants", () => {
  const within = {
    min: new Date("0001-01-01T00:00:00Z"),
    max: new Date("9999-12-31T23:59:59.999Z"),
    noInvalidDate: true,
  };

  test("every zone's way to write one gives UTC with milliseconds", () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date("0001-01-02"), max: new Date("9999-12-30"), noInvalidDate: true }),
        fc.integer({ min: -14 * 60, max: 14 * 60 }),
        (date, offset) => {
          const sign = offset < 0 ? "-" : "+";
          const pad = (n: number) => String(Math.floor(Math.abs(n))).padStart(2, "0");
          const local = new Date(date.getTime() + offset * 60_000).toISOString().slice(0, -1);
          expect(toInstant(`${local}${sign}${pad(offset / 60)}:${pad(offset % 60)}`)).toBe(
            date.toISOString(),
          );
        },
      ),
      runs,
    );
  });

  test("a Date within the years 0001 to 9999 is itself", () => {
    fc.assert(
      fc.property(fc.date(within), (date) => {
        expect(toInstant(date)).toBe(date.toISOString());
        expect(toInstant(date.toISOString())).toBe(date.toISOString());
      }),
      runs,
    );
  });

  test("whatever else is accepted means the same instant to Date", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          anyText,
          fc.stringMatching(
            /^\d{4}-(0\d|1[0-3])-[0-3]\dT[0-2]\d:[0-6]\d(:[0-6]\d(\.\d{1,9})?)?(Z|[+-][0-2]\d:[0-6]\d)$/,
          ),
          fc.anything(),
        ),
        (value) => {
          const instant = toInstant(value);
          if (instant === null) return;
          expect(instant).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
          expect(Date.parse(instant)).toBe(new Date(value as string | Date).getTime());
          // No 30 February: the day that was written is the day that is meant, in its own zone.
          if (typeof value === "string")
            expect(new Date(`${value.slice(0, 10)}T00:00:00Z`).toISOString().slice(0, 10)).toBe(
              value.slice(0, 10),
            );
        },
      ),
      { numRuns: runs.numRuns * 4 },
    );
  });
});

describe("e-mail addresses", () => {
  test("are normalised once and for all", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.emailAddress(),
          anyText.map((text) => `${text}@example.com`),
          anyText,
        ),
        (text) => {
          const { success, data } = emailSchema.safeParse(text);
          if (!success) return;
          expect(emailSchema.parse(data)).toBe(data);
          expect(emailSchema.parse(` ${data.toUpperCase()}\t`).toLowerCase()).toBe(
            emailSchema.parse(data.toUpperCase()),
          );
          expect(textProblem(data, 254)).toBeNull();
          expect(data).toMatch(/^[^\s@]+@[^\s@]+$/u);
        },
      ),
      runs,
    );
  });

  test("their domain is one of DNS labels, without a dot at its end", () => {
    const wrong = [
      "b..c",
      "b.com.",
      ".b.com",
      "-b.com",
      "b-.com",
      "b_c.com",
      "b.c@d.com",
      "b。com",
    ];
    for (const domain of [...wrong, "[127.0.0.1]", `${"x".repeat(64)}.com`, "b.com/x", "."])
      expect(emailSchema.safeParse(`a@${domain}`).success, domain).toBe(false);
    const right = [
      "b.com",
      "b-c.example",
      "xn--bcher-kva.example",
      "bücher.example",
      "例え.テスト",
    ];
    for (const domain of [...right, `${"x".repeat(63)}.com`, "localhost", "1.example", "b--c.org"])
      expect(emailSchema.safeParse(`a@${domain}`).success, domain).toBe(true);
  });

  test("ordinary ones are accepted", () => {
    fc.assert(
      fc.property(fc.emailAddress({ size: "small" }), (email) => {
        // fast-check also makes quoted-looking local parts that RFC 5321 allows and nobody has.
        fc.pre(/^[a-z0-9][a-z0-9.+_-]*[a-z0-9]@/i.test(email) && !email.includes(".."));
        expect(emailSchema.safeParse(email).success, email).toBe(true);
      }),
      runs,
    );
  });
});
