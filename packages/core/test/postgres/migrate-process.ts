import { migrate } from "../../src/storage/postgres/migrations/migrate.ts";

/* One of many starters: migrates the database of its argument and prints what it applied. */
const { applied } = await migrate({ databaseUrl: process.argv[2] ?? "", create: true });
process.stdout.write(String(applied.length));
