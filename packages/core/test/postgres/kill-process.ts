import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";

/*
 * Kills sessions of ours on the server at its first argument until a line comes in: some at a time, and after every ten of them one by SIGKILL,
 * whereupon PostgreSQL ends all the others and recovers as from a crash, and this says `crashed`.
 */
const [databaseUrl = ""] = process.argv.slice(2);
let sessions = 0;
let crashes = 0;
let stopped = false;
process.stdin.once("data", () => {
  stopped = true;
});

const others = "FROM pg_stat_activity WHERE application_name = 'codespar' AND state = 'active'";

async function kill(): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on("error", () => undefined);
  await client.connect();
  try {
    if (sessions >= 10 * (crashes + 1)) {
      const { rows } = await client.query<{ pid: number }>(`SELECT pid ${others} LIMIT 1`);
      if (rows[0] === undefined) return;
      process.kill(rows[0].pid, "SIGKILL");
      crashes += 1;
      process.stdout.write("crashed\n");
    } else {
      const { rowCount } = await client.query(
        `SELECT pg_terminate_backend(pid) FROM (SELECT pid ${others} ORDER BY random() LIMIT 3) AS active`,
      );
      sessions += rowCount ?? 0;
    }
  } finally {
    await client.end().catch(() => undefined);
  }
}

while (!stopped) {
  await kill().catch((error: { readonly code?: string }) => {
    // While the server recovers nobody gets in, the killer included.
    if (error.code?.startsWith("42")) throw error;
  });
  await sleep(30);
}
process.stdout.write(`${sessions}\n`);
process.stdin.destroy();
