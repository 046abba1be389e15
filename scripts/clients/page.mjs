// The page of a server in headless Chromium, as wide as a desk's screen and as a phone's:
//
//   node page.mjs http://127.0.0.1:8080 [DIRECTORY FOR SCREENSHOTS]
//
// Needs npm playwright-core and a Chromium (CHROMIUM, default /usr/bin/chromium). It sends a
// message, stops an answer, changes settings, looks at log-probabilities, and fails on an
// error in the console or a request to anywhere else.
import assert from "node:assert";
import { chromium } from "playwright-core";

const [url, shots] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
const wrong = [];

async function visit(name, options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(60000);
  page.on("console", (m) => m.type() === "error" && wrong.push(`${name}: console: ${m.text()}`));
  page.on("pageerror", (e) => wrong.push(`${name}: ${e.message}`));
  page.on("request", (r) => r.url().startsWith("data:") || new URL(r.url()).origin === new URL(url).origin || wrong.push(`${name}: asked ${r.url()}`));
  const shot = async (what) => shots && page.screenshot({ path: `${shots}/page-${name}-${what}.png` });
  const done = () => page.waitForFunction(() => document.getElementById("stop").hidden);
  const narrow = () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
  const point = (l) => (options.hasTouch ? l.tap() : l.hover());
  const press = (what) => (options.hasTouch ? page.tap(what) : page.click(what));

  await page.goto(url);
  await page.waitForFunction(() => document.getElementById("model").textContent !== "loading");
  await shot("empty");
  await press("summary");
  for (const [id, value] of Object.entries({ temperature: "0", max_tokens: "60", seed: "7" })) await page.fill("#" + id, value);
  await shot("settings");
  assert.ok(await narrow(), "the settings are wider than the screen");
  await press("summary");

  const ask = async (text) => {
    await page.fill("#prompt", text);
    await press("#send");
    await done();
    return page.locator(".assistant").last().textContent();
  };
  const first = await ask("Once upon a time, there was a little girl named Lily.");
  assert.ok(first.length > 20, `an answer of ${first.length} characters`);
  assert.match(await page.textContent("#rate"), /tokens/);
  await point(page.locator(".tok").nth(3));
  assert.match(await page.locator("#tip").textContent(), /log p -?\d/);
  assert.ok(await page.locator("#tip").isVisible(), "no log-probabilities at a token");
  await shot("answer");
  await press("#reset");
  assert.equal(await page.locator(".turn").count(), 0);
  assert.equal(await ask("Once upon a time, there was a little girl named Lily."), first, "temperature 0 gave another text");

  if (!(await page.locator("details").evaluate((d) => d.open))) await press("summary");
  await page.fill("#max_tokens", "400");
  await page.fill("#temperature", "1.5");
  await press("summary");
  await page.fill("#prompt", "A story without an end");
  await page.evaluate(() => new MutationObserver((_, o) => { // a small model would be done before a click
    const all = document.querySelectorAll(".assistant");
    if (all.length === 2 && all[1].textContent.length > 5) { o.disconnect(); document.getElementById("stop").click(); }
  }).observe(document.getElementById("log"), { childList: true, subtree: true }));
  await page.press("#prompt", "Enter");
  await page.waitForFunction(() => document.querySelectorAll(".assistant").length === 2 && document.querySelectorAll(".assistant")[1].textContent.length > 5);
  await done();
  assert.match(await page.textContent("#rate"), /stopped/);
  const cut = await page.locator(".assistant").last().textContent();
  await page.waitForTimeout(500);
  assert.equal(await page.locator(".assistant").last().textContent(), cut, "the answer went on after Stop");
  await shot("stopped");
  assert.ok(await narrow(), "the chat is wider than the screen");

  await press("summary");
  await page.fill("#max_tokens", "100000");
  await page.fill("#prompt", "Too much");
  page.removeAllListeners("console"); // Chromium writes a status of 400 there
  await press("#send");
  await page.locator(".error").waitFor();
  await shot("error");
  await context.close();
}

await visit("desk", { viewport: { width: 1280, height: 800 } });
await visit("phone", { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true, colorScheme: "dark" });
await browser.close();
assert.deepEqual(wrong, []);
console.log("page: passed");
process.exit(0);
