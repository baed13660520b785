import { expect, it } from "vitest";
import { describeServed, freshId } from "../support/server.ts";

describeServed("the page at /", ({ call }) => {
  it("shows health and counts of the organisation", async () => {
    const headers = { "x-org-id": freshId("org") };
    await call({ method: "POST", path: "/api/agents", headers, body: { id: "a" } });
    await call({ method: "PUT", path: "/api/agents/b/memory/k", headers, body: { value: 1 } });
    const { status, text } = await call({ path: "/", headers });
    expect(status).toBe(200);
    expect(text).toMatch(/class="state ok">ok</);
    expect(text).toContain("<strong>2</strong><span>agents</span>");
    expect(text).toContain("<strong>0</strong><span>projects</span>");
    expect(text).toContain("<strong>1</strong><span>audit entries</span>");
    expect(text).toContain('href="/docs"');
  });

  it("loads nothing from elsewhere, runs no script, and shows what it is given as text", async () => {
    const headers = { "x-org-id": encodeURIComponent("<img src=x onerror=alert(1)>") };
    const answer = await call({ path: "/", headers });
    expect(answer.text).not.toContain("<img");
    expect(answer.text).toContain("&lt;img src=x");
    expect(answer.text).not.toMatch(/<script|<link|<iframe|@import|url\(/);
    expect(answer.headers["content-security-policy"]).toMatch(
      /^default-src 'none'; style-src 'sha256-/,
    );
    expect(
      answer.text
        .match(/https?:\/\/[^\s"'<]+/g)
        ?.every((url) => url.startsWith("http://127.0.0.1")),
    ).toBe(true);
  });

  it("serves the reference with everything it needs", async () => {
    const page = await call({ path: "/docs/" });
    expect(page.status).toBe(200);
    const files = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file]) => file ?? "");
    expect(files.length).toBeGreaterThan(3);
    for (const file of files) {
      const { pathname } = new URL(file, "http://localhost/docs/");
      expect(file).not.toMatch(/^https?:|^\/\//);
      expect((await call({ path: pathname })).status).toBe(200);
    }
  });

  it("shows the reference without Fastify's logo and box for other documents", async () => {
    const { text } = await call({ path: "/docs/static/swagger-initializer.js" });
    expect(text).toContain('"layout":"BaseLayout"');
    expect((await call({ path: "/docs/" })).text).not.toContain("favicon");
  });
});
