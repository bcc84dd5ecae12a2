// Nothing that users, models or the server say becomes markup, and nothing is asked of anybody else.

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

import { ask, model, MODELS, reply, serve, visit } from "./harness.js";

const MARKUP = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>";

/** A model whose labels are markup. */
const folder = mkdtempSync(join(tmpdir(), "candlewick-"));
after(() => rmSync(folder, { recursive: true }));
cpSync(`${MODELS}bert-sentiment`, folder, { recursive: true });
const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
config.id2label = Object.fromEntries(Object.keys(config.id2label).map((id) => [id, `${MARKUP}${id}`]));
config.label2id = Object.fromEntries(Object.entries(config.id2label).map(([id, label]) => [label, Number(id)]));
writeFileSync(join(folder, "config.json"), JSON.stringify(config));

const url = await serve(folder, `${MODELS}bert-ner`, "--served-model-name", MARKUP, "--served-model-name", "bert-ner");

async function harmless(page) {
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.equal(await page.locator("main img, main script").count(), 0);
}

visit("markup in texts, labels and names of models is text", { url }, async (page) => {
  assert.equal(await model(page).locator("option").first().textContent(), MARKUP);
  await page.getByText("text-classification").first().waitFor();
  await ask(page, MARKUP);
  assert.ok((await page.locator(".bars li span").first().textContent()).startsWith(MARKUP));
  await page.getByText("The answer as JSON").click();
  await harmless(page);
  await model(page).selectOption("bert-ner");
  await page.locator("#found .text").waitFor();
  assert.equal(
    await page
      .locator("#found .text")
      .evaluate((shown) =>
        Array.from(shown.childNodes, (node) =>
          node.nodeType === Node.TEXT_NODE ? node.data : node.firstChild.data,
        ).join(""),
      ),
    MARKUP,
  );
  await harmless(page);
});

const refusing = reply(400, { error: `Invalid request: ${MARKUP}`, error_type: MARKUP });
const posts = (route) => (route.request().method() === "POST" ? refusing(route) : route.continue());
const refused = { url, expected: /status of 400/, prepare: (page) => page.route("**/models/**", posts) };
visit("markup in errors is text", refused, async (page) => {
  await page.getByText("text-classification").first().waitFor();
  await page.getByRole("button", { name: "Classify" }).click();
  await page.getByRole("alert").waitFor();
  assert.equal(await page.getByRole("alert").textContent(), `400 ${MARKUP}Invalid request: ${MARKUP}`);
  await harmless(page);
});

const found = [{ entity_group: MARKUP, score: 0.9, word: MARKUP, start: 0, end: 4 }];
const warned = {
  url,
  prepare: (page) => page.route("**/models/bert-ner", reply(200, found, { "x-hf-warning": `topic; ${MARKUP}` })),
};
visit("markup in entities and warnings is text", warned, async (page) => {
  await page.getByText("text-classification").first().waitFor();
  await model(page).selectOption("bert-ner");
  await page.getByText("token-classification").first().waitFor();
  await ask(page);
  await page.getByText("The same as a table").click();
  assert.equal(await page.locator("#found td").first().textContent(), MARKUP);
  assert.ok((await page.getByRole("list", { name: "Warnings" }).textContent()).includes(MARKUP));
  await harmless(page);
});

for (const path of ["", "docs"]) {
  const blocked = { url, path, expected: /requires 'Trusted(HTML|Script)'/ };
  visit(`/${path} has no way from text to markup`, blocked, async (page) => {
    const broken = await page.evaluate(() => {
      const attempts = [
        () => {
          document.body.innerHTML = "<b>";
        },
        () => {
          const script = document.createElement("script");
          script.text = "window.hacked = 1";
          document.body.append(script);
        },
      ];
      return attempts.map((attempt) => {
        try {
          attempt();
          return "allowed";
        } catch (error) {
          return error.name;
        }
      });
    });
    assert.deepEqual(broken, ["TypeError", "TypeError"]);
    await harmless(page);
  });
}
