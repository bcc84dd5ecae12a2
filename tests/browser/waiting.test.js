// Servers that are not ready, too busy, locked or gone.

import assert from "node:assert/strict";

import { answered, ask, reply, serve, status, visit } from "./harness.js";

const url = await serve();
const locked = await serve("--api-key", "the-secret");

const LOADING = { error: "Model demo-ner is currently loading", error_type: "Loading", estimated_time: 0.8 };
const BUSY = {
  error: "The server has more requests than it can answer in time; try again later.",
  error_type: "Overloaded",
};

/** Answers the first requests itself; when each one came is in `times`. */
function first(count, refuse, times = []) {
  return (page) =>
    page.route("**/models/demo-ner", (route) => {
      times.push(performance.now());
      return times.length <= count ? refuse(route) : route.continue();
    });
}

const loading = reply(503, LOADING, { "retry-after": "1" });
visit(
  "a model that loads is waited for",
  { url, expected: /status of 503/, prepare: first(2, loading) },
  async (page) => {
    await page.getByRole("button", { name: "Find entities" }).click();
    await page.getByText("Model demo-ner is currently loading. Asking again in 1 s.").waitFor();
    await answered(page);
    assert.match(await status(page), /^3 entities/);
    assert.ok(await page.getByRole("button", { name: "Stop" }).isHidden());
  },
);

const long = reply(503, LOADING, { "retry-after": "9" });
visit("waiting can be stopped", { url, expected: /status of 503/, prepare: first(100, long) }, async (page) => {
  await page.getByRole("button", { name: "Find entities" }).click();
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText("Stopped.").waitFor();
  await page.locator("#answer:not([aria-busy])").waitFor();
  assert.ok(await page.getByRole("alert").isHidden());
});

const unknown = { model_id: "demo-ner", state: "loading", models: [{ id: "demo-ner", state: "loading", task: null }] };
visit(
  "a model that loads when the page is opened is shown as soon as it is there",
  {
    url,
    prepare: async (page) => {
      let looks = 0;
      await page.route("**/info", (route) => (++looks <= 2 ? reply(200, unknown)(route) : route.continue()));
    },
  },
  async (page) => {
    await page.locator("option", { hasText: "demo-ner (is loading)" }).waitFor({ state: "attached" });
    assert.ok(await page.getByText("Strategy", { exact: true }).isHidden());
    await page.getByText("Strategy", { exact: true }).waitFor();
  },
);

const times = [];
const busy = reply(429, BUSY, { "retry-after": "1" });
visit(
  "a busy server is asked again, later each time",
  { url, expected: /status of 429/, prepare: first(2, busy, times) },
  async (page) => {
    await page.getByRole("button", { name: "Find entities" }).click();
    await page.getByText(/try again later\. Asking again in \d s\./).waitFor();
    await answered(page);
    assert.ok(times[1] - times[0] >= 1000 && times[2] - times[1] >= 2000, `${times}`);
  },
);

const tries = [];
visit(
  "a server that stays busy is left in peace in the end",
  {
    url,
    expected: /status of 429/,
    prepare: async (page) => {
      await page.clock.install();
      await first(100, busy, tries)(page);
    },
  },
  async (page) => {
    await page.getByRole("button", { name: "Find entities" }).click();
    const alert = page.getByRole("alert");
    while (await alert.isHidden()) await page.clock.fastForward(40_000);
    assert.equal(await alert.textContent(), `429 Overloaded${BUSY.error}`);
    assert.equal(tries.length, 6);
  },
);

visit(
  "a key is asked for only where one is needed, and kept nowhere",
  { url: locked, expected: /status of 401/ },
  async (page, context) => {
    const key = page.getByLabel("API key");
    await page.getByRole("alert").getByText("An API key is needed.").waitFor();
    assert.ok(await key.evaluate((field) => field === document.activeElement));
    await key.fill("wrong");
    await key.press("Enter");
    await page.getByRole("alert").getByText("The API key is not valid.").waitFor();
    await key.fill("the-secret");
    await key.press("Enter");
    await answered(page);
    assert.match(await status(page), /^3 entities/);
    assert.ok(await page.getByRole("alert").isHidden());
    assert.match(await page.locator("#code").textContent(), /Bearer \$API_KEY/);
    const kept = await page.evaluate(() =>
      JSON.stringify([localStorage, sessionStorage, document.cookie, location.href]),
    );
    assert.ok(!kept.includes("the-secret") && !(await page.content()).includes("the-secret"));
    assert.deepEqual(await context.cookies(), []);
    await page.reload();
    await page.getByRole("alert").getByText("An API key is needed.").waitFor();
    assert.equal(await key.inputValue(), "");
  },
);

visit("without keys there is no field for one", { url }, async (page) => {
  await ask(page);
  assert.ok(await page.getByLabel("API key").isHidden());
});

const gone = {
  url,
  prepare: (page) => page.route("**/models/demo-ner", (route) => route.fulfill({ status: 502, body: "<h1>Bad</h1>" })),
};
visit("an answer of a proxy is said to be one", { ...gone, expected: /status of 502/ }, async (page) => {
  await page.getByRole("button", { name: "Find entities" }).click();
  await page.getByRole("alert").getByText("The answer is not one of candlewick.").waitFor();
});

visit("what is written while an answer is on its way does not move its marks", { url }, async (page) => {
  let held;
  await page.route("**/models/demo-ner", (route) => {
    held = route;
  });
  const text = page.getByRole("textbox", { name: "Text", exact: true });
  await page.getByRole("button", { name: "Find entities" }).click();
  await text.press("ControlOrMeta+Home");
  await page.keyboard.type("Before it. ");
  await held.continue();
  await answered(page);
  assert.equal(
    await page
      .locator("mark")
      .first()
      .evaluate((mark) => mark.firstChild.data),
    "Sarah Jessica Parker",
  );
  assert.match(await text.inputValue(), /^Before it\. My name/);
});

visit("a new question replaces one that is under way", { url }, async (page) => {
  let held;
  await page.route("**/models/demo-ner", (route) => (held ? route.continue() : void (held = route)));
  await page.getByRole("button", { name: "Find entities" }).click();
  await page.getByText("Asking …").waitFor();
  await ask(page, "Call me Jessica");
  assert.match(await status(page), /^1 entity: 1 PER/);
  await held.abort().catch(() => {}); // the page did that
});
