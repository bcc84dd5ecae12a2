// A server, a browser, and what holds for every visit to a page.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** `make test-browser` installs packages outside of the sources. */
const require = createRequire(`${ROOT}target/browser/`);
const { chromium } = require("playwright-core");
const AXE = require("axe-core").source;

export const SARAH = "My name is Sarah Jessica Parker but you can call me Jessica. I live in London.";
export const MODELS = `${ROOT}tests/golden/models/`;
/** A name that is not localhost: browsers trust it less. */
export const ELSEWHERE = "candlewick.test";
/** Other things may have the machine for a while. */
const PATIENCE = 120_000;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", `--host-resolver-rules=MAP ${ELSEWHERE} 127.0.0.1`],
});
after(() => browser.close());

/** The address of a server of its own, whose models are loaded; without arguments, it has the demo models. */
export async function serve(...args) {
  const command = process.env.CANDLEWICK ?? `${ROOT}.venv/bin/candlewick`;
  const options = { stdio: ["ignore", "ignore", "pipe"], cwd: ROOT };
  const server = spawn(command, ["serve", "--port", "0", "--log-level", "off", ...args], options);
  after(() => server.kill());
  let said = "";
  for await (const chunk of server.stderr) {
    said += chunk;
    const url = /listening on (http:\S+)\n/.exec(said)?.[1];
    if (!url) continue;
    // One of several models may have failed: then the others are ready, and nothing is loading.
    while ((await (await fetch(`${url}/health`)).text()).includes("loading"))
      await new Promise((done) => setTimeout(done, 50));
    return `${url}/`;
  }
  throw new Error(`the server ended: ${said}`);
}

/** What the server answers without any page. */
export async function answer(url, body) {
  const response = await fetch(url, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
  });
  assert.equal(response.status, 200, await response.clone().text());
  return response.json();
}

/**
 * A test that visits a page of the server. Whatever it does there: the browser asks only this server, and complains about
 * nothing but what the test expects.
 */
export function visit(name, { url, path = "", scheme = "light", width = 1280, expected = /^$/, prepare }, body) {
  test(name, async () => {
    const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme: scheme });
    context.setDefaultTimeout(PATIENCE);
    const page = await context.newPage();
    const requests = [];
    const complaints = [];
    page.on("request", (request) => requests.push(request.url()));
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => expected.test(message.text()) || complaints.push(message.text()));
    try {
      await prepare?.(page, context);
      await page.goto(url + path);
      await body(page, context);
      assert.deepEqual(complaints, []);
      assert.deepEqual(
        requests.filter((one) => !one.startsWith(url)),
        [],
      );
      assert.ok(requests.length > 0);
    } finally {
      await context.close();
    }
  });
}

/** Asks with a text, and waits for the answer. */
export async function ask(page, text = SARAH) {
  await page.getByRole("textbox", { name: "Text", exact: true }).fill(text);
  await page.getByRole("button", { name: /^(Find entities|Classify|Ask)$/ }).click();
  await answered(page);
}

/** Waits until nothing is asked. */
export async function answered(page) {
  await page.locator("#answer:not([aria-busy])").waitFor();
  await page.locator("#found > *").first().waitFor();
}

export const status = (page) => page.locator("#status").textContent();
export const model = (page) => page.getByRole("combobox", { name: "Model" });
export const strategy = (page, name) => page.getByRole("radio", { name, exact: true });

/** Answers requests to a path as if by the server. */
export const reply =
  (status, body, headers = {}) =>
  (route) =>
    route.fulfill({ status, contentType: "application/json", headers, body: JSON.stringify(body) });

/** That nothing is hidden from those who see, hear or use it in another way. */
export async function accessible(page) {
  await page.evaluate(AXE);
  const { violations, incomplete } = await page.evaluate(async () => {
    const found = await window.axe.run();
    // Of what is scrolled out of sight, axe can't tell the background.
    const boxOf = ({ target }) => document.querySelector(target).closest(".scroll");
    const isShown = (node) => !boxOf(node) || boxOf(node).scrollHeight <= boxOf(node).clientHeight;
    const unsure = found.incomplete.map((one) => ({ ...one, nodes: one.nodes.filter(isShown) }));
    return { ...found, incomplete: unsure.filter(({ nodes }) => nodes.length) };
  });
  const told = [...violations, ...incomplete].map(
    ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`,
  );
  assert.deepEqual(told, []);
}

/** That nothing is wider than the window. */
export async function narrow(page) {
  const [wide, window_] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= window_, `${wide} pixels in a window of ${window_}`);
}
