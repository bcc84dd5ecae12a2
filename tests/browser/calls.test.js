// What the page gives to copy, run as it was copied.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";

import { answer, ask, ELSEWHERE, model, MODELS, ROOT, serve, strategy, visit } from "./harness.js";

const url = await serve();
const locked = await serve("--api-key", "the key");
const pairs = await serve(`${MODELS}bert-rerank`);

/** All that a shell, Python, JavaScript or a terminal could take for something else. */
const NASTY =
  "It's \"Jessica\" \\n $HOME `id` $(id) !! %s {} #{x} ${x} \\' \\\" '; --\n\ttab\\\nEND\n😀 Zürich \u2028 \x7f \x9b \u202e 日本";

const run = (command, args, input, environment) =>
  execFileSync(command, args, {
    input,
    cwd: ROOT,
    encoding: "utf8",
    env: { ...process.env, HF_HUB_DISABLE_TELEMETRY: "1", ...environment },
    stdio: "pipe",
    maxBuffer: 1 << 26,
  });

/** Runs what was copied; what it prints last is the answer. */
const RUNS = {
  curl: (code, environment) => run("bash", ["-s"], code.replace("curl ", "curl --silent --show-error "), environment),
  Python: (code, environment) =>
    run(`${ROOT}.venv/bin/python`, ["-"], `${code}\nimport json\nprint()\nprint(json.dumps(answer))`, environment),
  JavaScript: (code, environment) => {
    const file = `${ROOT}target/browser/copied.mjs`; // beside the client
    const named = code.replace("console.log(await response.json())", "const answer = await response.json()");
    writeFileSync(file, `${named}\nconsole.log("\\n" + JSON.stringify(answer));`);
    return run(process.execPath, [file], "", environment);
  },
};

const last = (printed) => JSON.parse(printed.trimEnd().split("\n").at(-1), (_, value) => value ?? undefined);

/** Copies by the button, and gives what the clipboard has then. */
async function copied(page, language) {
  await page.getByRole("radio", { name: language }).check();
  await page.getByRole("button", { name: "Copy" }).click();
  await page.getByText("Copied", { exact: true }).waitFor();
  return page.evaluate(() => navigator.clipboard.readText());
}

const grant = (page, context) => context.grantPermissions(["clipboard-read", "clipboard-write"]);

/** That what was copied gives the answer; the Python client adds members that are `None`. */
async function same(page, language, expected, environment = {}) {
  const code = await copied(page, language);
  const printed = RUNS[language](code, environment);
  assert.deepEqual(last(printed), expected, code);
}

for (const language of Object.keys(RUNS)) {
  visit(`${language}: entities of a nasty text`, { url, prepare: grant }, async (page) => {
    await strategy(page, "first").check();
    await ask(page, NASTY);
    const found = await answer(url, { inputs: NASTY, parameters: { aggregation_strategy: "first" } });
    assert.ok(found.length > 0);
    await same(page, language, found);
  });

  visit(`${language}: tokens`, { url, prepare: grant }, async (page) => {
    await strategy(page, "none").check();
    await ask(page);
    const text = await page.getByRole("textbox", { name: "Text", exact: true }).inputValue();
    await same(page, language, await answer(url, { inputs: text, parameters: { aggregation_strategy: "none" } }));
  });

  visit(`${language}: a long text in windows`, { url, prepare: grant }, async (page) => {
    const text = `${NASTY} `.repeat(30);
    await page.getByRole("checkbox", { name: /Read long texts/ }).check();
    await ask(page, text);
    await same(page, language, await answer(url, { inputs: text, parameters: { stride: 32 } }));
  });

  visit(`${language}: labels`, { url, prepare: grant }, async (page) => {
    await page.getByText("token-classification").first().waitFor();
    await model(page).selectOption("demo-sentiment");
    await page.getByText("text-classification").first().waitFor();
    await ask(page, NASTY);
    const found = await answer(`${url}models/demo-sentiment`, { inputs: NASTY });
    // Both clients give the labels of the one text, without the list around them.
    await same(page, language, language === "curl" ? found : found[0]);
  });

  visit(`${language}: a pair`, { url: pairs, prepare: grant }, async (page) => {
    await page.getByRole("textbox", { name: "Second text" }).fill(`${NASTY}?`);
    await ask(page, NASTY);
    const found = await answer(pairs, { inputs: { text: NASTY, text_pair: `${NASTY}?` } });
    await same(page, language, language === "curl" ? found : found[0]);
  });

  visit(
    `${language}: a key is read from the environment`,
    { url: locked, expected: /status of 401/, prepare: grant },
    async (page) => {
      await page.getByLabel("API key").fill("the key");
      await ask(page, "Call me Jessica");
      const found = [{ entity_group: "PER", word: "Jessica", start: 8, end: 15 }];
      const code = await copied(page, language);
      assert.ok(!code.includes("the key"));
      const [{ score, ...entity }] = last(RUNS[language](code, { API_KEY: "the key" }));
      assert.ok(score > 0.5);
      assert.deepEqual([entity], found);
    },
  );
}

visit("a text longer than an argument may be is read by curl from its input", { url, prepare: grant }, async (page) => {
  const text = `${NASTY} `.repeat(3_000);
  const field = page.getByRole("textbox", { name: "Text", exact: true });
  await page.getByText("token-classification").first().waitFor();
  await page.evaluate((text) => navigator.clipboard.writeText(text), text);
  await field.press("ControlOrMeta+A");
  await field.press("ControlOrMeta+V");
  assert.match(await copied(page, "curl"), /-d @- <<'END'\n\{.*\}\nEND$/);
  await same(page, "curl", await answer(url, { inputs: text }));
});

const port = new URL(url).port;
visit(
  "copying works where browsers give no clipboard",
  { url: `http://${ELSEWHERE}:${port}/`, prepare: grant },
  async (page, context) => {
    assert.equal(await page.evaluate(() => navigator.clipboard), undefined);
    await page.getByText("token-classification").first().waitFor();
    await page.getByRole("button", { name: "Copy" }).click();
    await page.getByText("Copied", { exact: true }).waitFor();
    const code = await page.locator("#code").textContent();
    assert.ok(code.startsWith(`curl http://${ELSEWHERE}:${port}/models/demo-ner `));
    const reader = await context.newPage();
    await reader.goto(url);
    assert.equal(await reader.evaluate(() => navigator.clipboard.readText()), code);
  },
);
