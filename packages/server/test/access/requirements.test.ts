import Fastify from "fastify";
import { expect, it } from "vitest";
import { requireDeclarations } from "../../src/access/requirements.ts";

function built(config: object | undefined, url = "/x") {
  const app = Fastify();
  requireDeclarations(app);
  return () => app.get(url, config === undefined ? {} : { config }, () => "");
}

it.each([[undefined], [{}], [{ documentedHeaders: [] }], [{ scope: "read", access: "caller" }]])(
  "refuses to build a server with a route that declares %j",
  (config) => {
    expect(built(config)).toThrow(/GET \/x must say/);
  },
);

it.each([
  [{ scope: "read" }],
  [{ scope: "admin" }],
  [{ access: "public" }],
  [{ access: "operator" }],
])("takes a route that declares %j", (config) => {
  expect(built(config)).not.toThrow();
});

it("closes the reference's pages, which a plugin adds, and nothing that only begins like them", () => {
  expect(built(undefined, "/docs/static/*")).not.toThrow();
  expect(built(undefined, "/docsets")).toThrow(/must say/);
});
