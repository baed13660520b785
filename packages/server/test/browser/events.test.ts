import { buildServer } from "@codespar/server";
import { describe, expect, it } from "vitest";
import { CHROMIUM_MISSING, hasChromium, launchChromium } from "../../../../tooling/browser.ts";
import { files } from "../support/backends.ts";
import { entry } from "../support/trail.ts";

const title = hasChromium()
  ? "a browser's EventSource"
  : `a browser's EventSource (${CHROMIUM_MISSING})`;

/** Runs in the page: gathers events in `seen`. */
const listen = `
  globalThis.seen = [];
  const source = new EventSource("/api/events");
  const gather = ({ type, lastEventId, data }) => seen.push([type, lastEventId, data]);
  source.addEventListener("ready", gather);
  source.addEventListener("audit", gather);
`;

describe.skipIf(!hasChromium())(title, () => {
  it("misses nothing while one server takes another's place", async () => {
    const [browser, { storage, remove }] = await Promise.all([launchChromium(), files.open()]);
    let app = await buildServer({ storage });
    const origin = await app.listen({ host: "127.0.0.1", port: 0 });
    try {
      // The policy of our pages lets them connect nowhere.
      const context = await browser.newContext({ bypassCSP: true });
      const page = await context.newPage();
      await page.goto(`${origin}/livez`);
      await page.evaluate(listen);
      const until = (count: number) => page.waitForFunction(`seen.length === ${count}`);
      await until(1);
      const first = await storage.audit.append(entry);
      await until(2);
      await app.close();
      const missed = await storage.audit.append(entry);
      app = await buildServer({ storage });
      await app.listen({ host: "127.0.0.1", port: Number(new URL(origin).port) });
      await until(4);
      const later = await storage.audit.append(entry);
      await until(5);
      expect(await page.evaluate("seen")).toEqual([
        ["ready", "-1", '{"after":-1}'],
        ["audit", "0", JSON.stringify(first)],
        ["ready", "0", '{"after":0}'],
        ["audit", "1", JSON.stringify(missed)],
        ["audit", "2", JSON.stringify(later)],
      ]);
    } finally {
      await browser.close();
      await app.close();
      await remove();
    }
  });
});
