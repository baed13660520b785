import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type Browser,
  CHROMIUM_MISSING,
  hasChromium,
  launchChromium,
  type Page,
} from "../../../../tooling/browser.ts";
import { files } from "../support/backends.ts";
import { serveOn, type TestServer } from "../support/server.ts";

const title = hasChromium()
  ? "the pages in a browser"
  : `the pages in a browser (${CHROMIUM_MISSING})`;

describe.skipIf(!hasChromium())(title, () => {
  let browser: Browser;
  let server: TestServer;

  beforeAll(async () => {
    [browser, server] = await Promise.all([launchChromium(), serveOn(files)]);
    await server.storage.agentStates.set("deployer", { type: "coder", name: "Deployer" });
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  /** Opens a page and gathers what the browser complains of. */
  async function open(path: string, width = 1280): Promise<{ page: Page; complaints: string[] }> {
    const page = await browser.newPage({ viewport: { width, height: 900 } });
    const complaints: string[] = [];
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning")
        complaints.push(`${message.text()} (${message.location().url})`);
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("requestfailed", (request) => complaints.push(`failed: ${request.url()}`));
    page.on("request", (request) => {
      if (!request.url().startsWith(server.origin) && !request.url().startsWith("data:"))
        complaints.push(`elsewhere: ${request.url()}`);
    });
    await page.goto(`${server.origin}${path}`, { waitUntil: "networkidle" });
    return { page, complaints };
  }

  it("shows health and counts at /, styled, at any width", async () => {
    for (const width of [1280, 360]) {
      const { page, complaints } = await open("/", width);
      expect(await page.locator(".state").textContent()).toMatch(/^ok$/i);
      expect(await page.getByText("agents", { exact: true }).locator("..").textContent()).toContain(
        "1",
      );
      // Unstyled, as with a policy that refuses its own sheet, the body has the browser's margin.
      expect(await page.evaluate("getComputedStyle(document.body).margin")).not.toBe("8px");
      expect(
        await page.evaluate(
          "document.documentElement.scrollWidth <= document.documentElement.clientWidth",
        ),
      ).toBe(true);
      expect(complaints).toEqual([]);
      await page.close();
    }
  });

  it("leads from / to every page that it names", async () => {
    const { page } = await open("/");
    const targets = await page
      .locator("a")
      .evaluateAll((links) => links.map((link) => link.getAttribute("href") ?? ""));
    expect(targets.length).toBeGreaterThan(3);
    for (const target of targets) {
      const answer = await page.goto(`${server.origin}${target}`);
      expect([target, answer?.status()]).toEqual([target, 200]);
    }
    await page.close();
  });

  it("shows every operation of the API at /docs, and tries one out", async () => {
    const { page, complaints } = await open("/docs/");
    await page.locator(".opblock").first().waitFor();
    const document = (await (await fetch(`${server.origin}/openapi.json`)).json()) as {
      paths: Record<string, Record<string, unknown>>;
    };
    const operations = Object.values(document.paths).flatMap(Object.keys);
    expect(await page.locator(".opblock").count()).toBe(operations.length);

    await page.locator('.opblock:has([data-path="/health"])').first().click();
    await page.getByRole("button", { name: "Try it out" }).click();
    await page.getByRole("button", { name: "Execute" }).click();
    await page.locator(".live-responses-table").waitFor();
    expect(await page.locator(".live-responses-table").textContent()).toContain('"status": "ok"');
    expect(complaints).toEqual([]);
    await page.close();
  });
});
