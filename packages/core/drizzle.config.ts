import { defineConfig } from "drizzle-kit";

const databaseUrl = process.env["DATABASE_URL"];

export default defineConfig({
  dialect: "postgresql",
  schema: ["./src/storage/schema.ts", "./src/storage/machinery.ts"],
  out: "./drizzle",
  ...(databaseUrl ? { dbCredentials: { url: asOwner(databaseUrl) } } : {}),
});

/** Row-level security hides every row from who doesn't name an organisation; this setting shows them to the tables' owner. */
function asOwner(text: string): string {
  const url = new URL(text);
  const options = url.searchParams.get("options");
  url.searchParams.set("options", `${options ? `${options} ` : ""}-c codespar.maintenance=on`);
  return url.href;
}
