import { expect, it } from "vitest";
import { expectProblem } from "../support/expect.ts";
import { describeServed, freshId } from "../support/server.ts";

const keys = [
  "a/b",
  "a%2Fb",
  "%",
  "%25",
  "100%",
  "?x=1",
  "#fragment",
  ":param",
  "*",
  "a b",
  " leading",
  "trailing/",
  "//",
  "semi;colon",
  "a+b&c=d",
  "\\",
  '"quoted"',
  "é",
  "日本語",
  "😀",
  "..x",
  "constructor",
  "__proto__",
  "k".repeat(512),
  "ü".repeat(256),
];

const values: readonly [name: string, json: string][] = [
  ["__proto__", '{"__proto__":{"polluted":true}}'],
  ["constructor.prototype", '{"constructor":{"prototype":{"polluted":true}}}'],
  ["a NUL", '"\\u0000"'],
  ["lone surrogates", '["\\ud800","x\\udfff","\\udc00\\ud800"]'],
  ["numbers", "[0,-0.5,1e300,5e-324,9007199254740992,0.1]"],
  ["an empty key", '{"":1}'],
  ["64 levels", `${"[".repeat(64)}${"]".repeat(64)}`],
  ["a toJSON member", '{"toJSON":1}'],
  ["line separators", '"\\u2028\\u2029"'],
  ["text that looks like JSON", '"{\\"a\\":1}"'],
];

describeServed("what goes in comes out", ({ call }) => {
  it.each(keys)("under the key %j", async (key) => {
    const agentId = freshId("agent");
    const path = `/api/agents/${agentId}/memory/${encodeURIComponent(key)}`;
    const put = await call({ method: "PUT", path, body: { value: key } });
    expect(put.json, put.text).toMatchObject({ key });
    expect((await call({ path })).json).toMatchObject({ key, value: key });
    const { json } = await call({ path: `/api/agents/${agentId}/memory` });
    expect((json as { items: object[] }).items).toEqual([
      expect.objectContaining({ key, value: key }),
    ]);
  });

  it.each(["team/one", "50%", "..a", "ünï", "x".repeat(128)])(
    "for the agent %j",
    async (agentId) => {
      const path = `/api/agents/${encodeURIComponent(agentId)}`;
      await call({ method: "PUT", path: `${path}/memory/k`, body: { value: 1 } });
      expect((await call({ path })).json).toMatchObject({ id: agentId, registered: false });
    },
  );

  it.each([".", ".."])(
    "for the key %j, which only the batch or an escape can name",
    async (key) => {
      const agentId = freshId("agent");
      const base = `/api/agents/${agentId}/memory`;
      const operations = [{ op: "set", key, value: key }];
      expect(await call({ method: "POST", path: base, body: { operations } })).toMatchObject({
        status: 200,
      });
      const escaped = key.replaceAll(".", "%2E");
      expect((await call({ path: `${base}/${escaped}` })).json).toMatchObject({ key, value: key });
    },
  );

  it.each(values)("with a value that holds %s", async (_name, json) => {
    const path = `/api/agents/${freshId("agent")}/memory/k`;
    const put = await call({ method: "PUT", path, body: `{"value":${json}}` });
    expect(put.status, put.text).toBe(201);
    const { value } = (await call({ path })).json as { value: unknown };
    expect(JSON.stringify(value)).toBe(JSON.stringify(JSON.parse(json)));
    expect(Object.prototype).not.toHaveProperty("polluted");
  });

  it("up to the limits, and no further", async () => {
    const agentId = freshId("agent");
    const put = (key: string, value: unknown) =>
      call({
        method: "PUT",
        path: `/api/agents/${agentId}/memory/${encodeURIComponent(key)}`,
        body: { value },
      });
    const largest = "x".repeat(256 * 1024 - 2);
    expect(await put("large", largest)).toMatchObject({ status: 201 });
    expect((await call({ path: `/api/agents/${agentId}/memory/large` })).json).toMatchObject({
      value: largest,
    });
    expectProblem(await put("larger", `${largest}x`), 422, "LIMIT_EXCEEDED");
    expectProblem(await put("k".repeat(513), 1), 422, "LIMIT_EXCEEDED");
    expectProblem(
      await put("deep", JSON.parse(`${"[".repeat(65)}${"]".repeat(65)}`)),
      422,
      "LIMIT_EXCEEDED",
    );
    expectProblem(await put("huge", "x".repeat(9 * 1024 * 1024)), 413, "LIMIT_EXCEEDED");
  });
});
