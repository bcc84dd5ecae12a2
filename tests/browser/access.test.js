// For everybody: with a keyboard, by ear, on a phone, in the dark.

import assert from "node:assert/strict";

import {
  accessible,
  answered,
  ask,
  model,
  MODELS,
  narrow,
  reply,
  SARAH,
  serve,
  status,
  strategy,
  visit,
} from "./harness.js";

const url = await serve();
const pairs = await serve(`${MODELS}bert-rerank`);
const locked = await serve("--api-key", "secret");

const refuse = (status, body, headers) => (page) => page.route("**/models/demo-ner", reply(status, body, headers));
const LABELS = Array.from({ length: 24 }, (_, index) => ({
  entity_group: `LABEL_${index}`,
  score: 0.5,
  word: "x",
  start: 2 * index,
  end: 2 * index + 1,
}));

/** Every state of the page: where it is seen, and how it is reached. */
const STATES = {
  "at the start": {
    url,
    reach: async (page) => {
      await page.getByText("Strategy", { exact: true }).waitFor();
    },
  },
  "with entities": {
    url,
    reach: async (page) => {
      await ask(page);
      for (const title of ["The same as a table", "The answer as JSON"]) await page.getByText(title).click();
    },
  },
  "with tokens": {
    url,
    reach: async (page) => {
      await strategy(page, "none").check();
      await ask(page);
    },
  },
  "with a long text": { url, reach: (page) => ask(page, `${SARAH} `.repeat(40)) },
  "with a word longer than the window": { url, reach: (page) => ask(page, "Jessica".repeat(100)) },
  "with 24 labels": { url, prepare: refuse(200, LABELS), reach: (page) => ask(page, "x ".repeat(24)) },
  "with a pair": {
    url: pairs,
    reach: async (page) => {
      await page.getByLabel("Second text").fill("b");
      await ask(page, "a");
    },
  },
  "after copying": {
    url,
    reach: async (page) => {
      await page.getByRole("radio", { name: "JavaScript" }).check();
      await page.getByRole("button", { name: "Copy" }).click();
      await page.locator("#copied:not(:empty)").waitFor();
    },
  },
  "with an error": {
    url,
    expected: /status of 400/,
    prepare: refuse(400, { error: "Invalid request: no.", error_type: "Validation" }),
    reach: async (page) => {
      await page.getByRole("button", { name: "Find entities" }).click();
      await page.getByRole("alert").waitFor();
    },
  },
  "while waiting": {
    url,
    expected: /status of 503/,
    prepare: refuse(
      503,
      { error: "Model demo-ner is currently loading", error_type: "Loading" },
      { "retry-after": "10" },
    ),
    reach: async (page) => {
      await page.getByRole("button", { name: "Find entities" }).click();
      await page.getByRole("button", { name: "Stop" }).waitFor();
    },
  },
  "asking for a key": { url: locked, expected: /status of 401/, reach: (page) => page.getByRole("alert").waitFor() },
  "the docs": {
    url,
    path: "docs",
    reach: async (page) => {
      await page.getByText("Types", { exact: true }).first().waitFor();
    },
  },
  "the docs, all open": { url, path: "docs", reach: (page) => page.getByRole("button", { name: "Open all" }).click() },
};

for (const [state, { reach, ...options }] of Object.entries(STATES)) {
  for (const [scheme, width] of [
    ["light", 1280],
    ["dark", 320],
  ]) {
    visit(`accessible ${state}, ${scheme}, ${width} wide`, { ...options, scheme, width }, async (page) => {
      await reach(page);
      await accessible(page);
      await narrow(page);
    });
  }
}

visit("24 labels have 24 colours", { ...STATES["with 24 labels"] }, async (page) => {
  await ask(page, "x ".repeat(24));
  const colours = await page
    .locator("mark")
    .evaluateAll((marks) => marks.map((mark) => getComputedStyle(mark).backgroundColor));
  assert.equal(new Set(colours).size, 24);
});

/** What has the focus, and whether that can be seen: on itself, or for radio buttons on what stands for them. */
const focus = (page) =>
  page.evaluate(() => {
    const active = document.activeElement;
    const seen = active.matches(".choice input") ? active.nextElementSibling : active;
    const { outlineStyle, outlineWidth } = getComputedStyle(seen);
    return [
      active.ariaLabel ?? (active.id || active.value || active.textContent.trim()),
      outlineStyle === "solid" && parseFloat(outlineWidth) >= 2,
    ];
  });

visit("everything can be done with a keyboard", { url }, async (page) => {
  await page.getByText("Strategy", { exact: true }).waitFor();
  const reached = [];
  const next = async () => {
    await page.keyboard.press("Tab");
    reached.push(await focus(page));
  };
  for (let count = 0; count < 5; count++) await next();
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.type("Call me Jessica\nin London");
  await page.keyboard.press("Control+Enter");
  await answered(page);
  assert.match(await status(page), /^2 entities: 1 PER, 1 LOC/);
  await next();
  await page.keyboard.press("ArrowLeft");
  await page.getByText(/^2 tokens/).waitFor();
  await page.keyboard.press("ArrowRight");
  await page.getByText(/^2 entities/).waitFor();
  for (let count = 0; count < 4; count++) await next();
  await page.keyboard.press("Enter");
  await page.getByRole("table").waitFor();
  for (let count = 0; count < 4; count++) await next();
  await page.keyboard.press("ArrowRight");
  assert.match(await page.locator("#code").textContent(), /^from huggingface_hub/);
  await next();
  const form = ["candlewick", "Try", "Docs", "model", "text", "simple", "windows", "ask"];
  const found = ["The text with marks", "The same as a table", "The same as a table", "The answer as JSON"];
  assert.deepEqual(
    reached,
    [...form, ...found, "copy", "curl", "Code"].map((name) => [name, true]),
  );
});

visit("what was found is announced, and problems at once", { url }, async (page) => {
  const live = await page
    .locator("[role=status], [role=alert]")
    .evaluateAll((regions) => regions.map(({ id, role }) => `${id} ${role}`));
  assert.deepEqual(live, ["status status", "problem alert", "copied status"]);
  await ask(page);
  assert.match(await status(page), /^3 entities: 2 PER, 1 LOC \(((less than )?\d+ ms|from the cache)\)$/);
});

visit("landmarks, a title and a language", { url }, async (page) => {
  for (const role of ["banner", "main", "contentinfo", "form"]) await page.getByRole(role).waitFor();
  await page.getByRole("navigation", { name: "Pages" }).waitFor();
  for (const name of ["Answer", "The same call in code"]) await page.getByRole("region", { name }).waitFor();
  assert.equal(await page.locator("html").getAttribute("lang"), "en");
  assert.equal(await page.title(), "Try a model · candlewick");
  assert.equal(await page.getByRole("heading", { level: 1 }).count(), 1);
});

visit(
  "nothing moves where that is not wanted",
  { url, prepare: (page) => page.emulateMedia({ reducedMotion: "reduce" }) },
  async (page) => {
    const moving = await page.evaluate(() => {
      document.getElementById("answer").setAttribute("aria-busy", "true");
      const moves = (style) => parseFloat(style.transitionDuration) + parseFloat(style.animationDuration) > 0;
      return Array.from(document.querySelectorAll("*"))
        .filter((one) => moves(getComputedStyle(one)))
        .map(({ id }) => id);
    });
    assert.deepEqual(moving, []);
  },
);
