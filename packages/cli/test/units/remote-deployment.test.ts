import { once } from "node:events";
import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { expect, it, onTestFinished } from "vitest";
import { remoteDeployment } from "../../src/store/remote-deployment.ts";

it("a rotation through a server asks for a new key in its first request only", async () => {
  const bodies: unknown[] = [];
  const server = createServer((request, response) => {
    void json(request).then((body) => {
      bodies.push(body);
      const remaining = 3 - bodies.length;
      const report = { finished: remaining === 0, activeKey: "a", resealed: 1, remaining };
      response.end(JSON.stringify(report));
    });
  });
  onTestFinished(() => void server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
  const { secrets } = remoteDeployment({ url });
  const report = await secrets.rotate({ newKey: true });
  expect(report).toEqual({ finished: true, activeKey: "a", resealed: 3, remaining: 0 });
  expect(bodies).toEqual([{ newKey: true }, {}, {}]);
});
