import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { httpErrorCodes } from "../../src/errors.ts";

const reference = await readFile(
  new URL("../../../../docs/reference/http.md", import.meta.url),
  "utf8",
);

it("the reference lists exactly the error codes that only HTTP knows, with their statuses", () => {
  const rows = [...reference.matchAll(/^\| `([A-Z_]+)` \| (\d{3}) \|/gm)];
  const listed = rows.map(([, code, status]) => [code, Number(status)]);
  const known = Object.entries(httpErrorCodes).map(([code, { httpStatus }]) => [code, httpStatus]);
  expect(listed.sort()).toEqual(known.sort());
});
