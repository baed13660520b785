import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { afterEach, beforeAll, expect, it } from "vitest";
import { builtCli } from "../../../../tooling/built-cli.ts";
import { createTestDatabase, freePort } from "../../../../tooling/postgres.ts";
import { StreamSearch } from "../../../../tooling/secrets.ts";
import { migratedTemplate } from "../support/backends.ts";
import { connect } from "../support/events.ts";
import { send } from "../support/http.ts";

const children: ChildProcess[] = [];
let cli = "";

beforeAll(async () => {
  cli = await builtCli();
}, 300_000);
afterEach(async () => {
  for (const child of children.splice(0)) {
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
  }
});

async function start(databaseUrl: string): Promise<string> {
  const port = String(await freePort());
  const env = { PATH: process.env["PATH"], PORT: port, DATABASE_URL: databaseUrl };
  const child = spawn(process.execPath, [cli, "start"], {
    cwd: tmpdir(),
    env,
    stdio: ["ignore", "ignore", "pipe"],
  });
  StreamSearch.watch("the output of the server", [child.stderr]);
  children.push(child);
  let said = "";
  return new Promise((resolve, reject) => {
    child.on("exit", () => reject(new Error(`it ended: ${said}`)));
    child.stderr.on("data", (data: Buffer) => {
      said += data.toString();
      if (said.includes("Only this machine can use it.")) resolve(`http://localhost:${port}`);
    });
  });
}

it("gives a client that goes back and forth between two instances each entry once, in order", async () => {
  await using database = await createTestDatabase({ template: migratedTemplate }).then((made) => ({
    ...made,
    [Symbol.asyncDispose]: () => made.drop(),
  }));
  const origins = await Promise.all([start(database.url), start(database.url)]);
  const perWriter = 60;
  const total = 4 * perWriter;
  const write = async (origin: string, writer: string) => {
    for (let n = 0; n < perWriter; n += 1) {
      const body = {
        actor: { type: "agent", id: writer },
        action: "deploy.started",
        outcome: "success",
        details: n,
      };
      const answer = await send(origin, { method: "POST", path: "/api/audit", body });
      expect(answer.status).toBe(201);
    }
  };
  const writing = Promise.all(
    origins.flatMap((origin, i) => [write(origin, `${i}-a`), write(origin, `${i}-b`)]),
  );
  const received: { seq: number; actor: { id: string }; details: number }[] = [];
  let place = "-1";
  for (let turn = 0; received.length < total; turn += 1) {
    const headers = { "last-event-id": place };
    await using client = await connect(origins[turn % 2] ?? "", { headers });
    // Sometimes it has to go before anything has come.
    for (let taken = 0; taken < turn % 8 && received.length < total; taken += 1) {
      const event = await client.next();
      if (event === null) throw new Error("the stream ended");
      if (event.event === "audit") received.push(JSON.parse(event.data));
      place = event.id ?? "";
    }
  }
  await writing;
  expect(received.map(({ seq }) => seq)).toEqual(Array.from({ length: total }, (_, seq) => seq));
  for (const writer of ["0-a", "0-b", "1-a", "1-b"]) {
    const own = received.filter(({ actor }) => actor.id === writer);
    expect(own.map(({ details }) => details)).toEqual(
      Array.from({ length: perWriter }, (_, n) => n),
    );
  }
});
