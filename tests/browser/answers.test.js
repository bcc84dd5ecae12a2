// What the page shows is what the server answers.

import assert from "node:assert/strict";

import { answer, answered, ask, model, MODELS, reply, SARAH, serve, status, strategy, visit } from "./harness.js";

const url = await serve();
const several = await serve(`${MODELS}bert-ner`, `${MODELS}bert-rerank`, `${MODELS}bert-regression`, "./nowhere");

const TEXT = "😀 Sarah Jessica Parker lives in Zürich 👩‍👩‍👧‍👦.\n\tCall her Jessica! 日本 <b>London</b> & Siemens e\u0301";
const STRATEGIES = ["none", "simple", "first", "average", "max"];

/** Text and marks as they stand on the page: where each mark is, counted in code points, and what its tags say. */
const looks = (page) =>
  page.locator("#found .text").evaluate((shown) => {
    let text = "";
    const marks = [];
    for (const node of shown.childNodes) {
      const start = Array.from(text).length;
      text += node.nodeType === Node.TEXT_NODE ? node.data : node.firstChild.data;
      const tags = Array.from(node.children ?? [], (tag) => tag.textContent);
      if (node.nodeName === "MARK") marks.push({ start, end: Array.from(text).length, tags });
    }
    return { text, marks };
  });

const mark = ({ start, end, score, entity, entity_group }) => ({
  start,
  end,
  tags: [`${entity_group ?? entity} ${score.toFixed(3)}`],
});

for (const name of STRATEGIES) {
  visit(`entities stand where the server says, with ${name}`, { url }, async (page) => {
    await strategy(page, name).check();
    await ask(page, TEXT);
    const found = await answer(url, { inputs: TEXT, parameters: { aggregation_strategy: name } });
    assert.ok(found.length >= 3);
    assert.deepEqual(await looks(page), { text: TEXT, marks: found.map(mark) });
    assert.match(
      await status(page),
      new RegExp(`^${found.length} ${name === "none" ? "tokens" : "entities"}: \\d+ PER`),
    );
  });
}

visit("a text from right to left is shown that way", { url }, async (page) => {
  await ask(page, "عاشت ماري كوري في باريس مع Sarah Parker.");
  const directions = await page
    .locator("#text, #found .text, #found .tag")
    .evaluateAll((shown) => shown.map((one) => getComputedStyle(one).direction));
  assert.deepEqual([...new Set(directions.slice(0, 2)), ...new Set(directions.slice(2))], ["rtl", "ltr"]);
  await ask(page, SARAH);
  assert.equal(await page.locator("#found .text").evaluate((shown) => getComputedStyle(shown).direction), "ltr");
});

visit("what comes after a long text stays in reach", { url }, async (page) => {
  await page.getByLabel("Read long texts to their end").check();
  await ask(page, `${SARAH} `.repeat(1_300));
  const tall = await page.evaluate(() => document.documentElement.scrollHeight);
  assert.ok(tall < 2_000, `${tall} pixels`);
  const { scrolls, top } = await page.locator("#found .scroll").evaluate((shown) => {
    shown.scrollTo(0, shown.scrollHeight);
    return { scrolls: shown.scrollHeight > shown.clientHeight, top: shown.scrollTop };
  });
  assert.ok(scrolls && top > 0);
});

visit("another strategy is asked for at once", { url }, async (page) => {
  await ask(page);
  await strategy(page, "none").check();
  await page.getByText(/^\d+ tokens/).waitFor();
  await strategy(page, "max").check();
  await page.getByText(/^\d+ entities/).waitFor();
});

visit("the table and the JSON say the same", { url }, async (page) => {
  await ask(page);
  const found = await answer(url, { inputs: SARAH });
  await page.getByText("The same as a table").click();
  await page.locator("#found tbody tr").first().waitFor();
  const rows = await page
    .locator("#found tbody tr")
    .evaluateAll((rows) => rows.map((row) => Array.from(row.cells, (cell) => cell.textContent)));
  const row = ({ entity_group, score, word, start, end }) => [
    entity_group,
    score.toFixed(6),
    word,
    `${start}`,
    `${end}`,
  ];
  assert.deepEqual(rows, found.map(row));
  await page.getByText("The answer as JSON").click();
  assert.deepEqual(JSON.parse(await page.locator("#found pre").textContent()), found);
});

visit("a long text warns that it was cut, and is read to its end in windows", { url }, async (page) => {
  const text = `${SARAH} `.repeat(40);
  await ask(page, text);
  const warnings = page.getByRole("list", { name: "Warnings" });
  assert.match(await warnings.textContent(), /input 0 was truncated from \d+ to 256 tokens.*finds the rest/);
  const cut = (await looks(page)).marks;
  await page.getByRole("checkbox", { name: /Read long texts/ }).check();
  await warnings.waitFor({ state: "hidden" });
  const found = await answer(url, { inputs: text, parameters: { aggregation_strategy: "simple", stride: 32 } });
  assert.ok(found.length > 100 && found.length > cut.length);
  assert.deepEqual(await looks(page), { text, marks: found.map(mark) });
});

visit("windows are not offered with none, which has no entities to join", { url }, async (page) => {
  await strategy(page, "none").check();
  assert.ok(await page.getByRole("checkbox", { name: /Read long texts/ }).isDisabled());
});

const OVERLAP = [
  { entity_group: "PER", score: 0.9, word: "ab", start: 0, end: 2 },
  { entity_group: "ORG", score: 0.8, word: "ab", start: 0, end: 2 },
  { entity_group: "LOC", score: 0.7, word: "bc", start: 1, end: 3 },
  { entity_group: "LOC", score: 0.6, word: "", start: 3, end: 3 },
];
const overlapping = { url, prepare: (page) => page.route("**/models/demo-ner", reply(200, OVERLAP)) };
visit("entities that overlap leave the text as it was, and all stand in the table", overlapping, async (page) => {
  await ask(page, "abcd");
  const marks = [{ start: 0, end: 2, tags: ["PER 0.900", "ORG 0.800"] }];
  assert.deepEqual(await looks(page), { text: "abcd", marks });
  await page.getByText("The same as a table").click();
  const rows = page.locator("#found tbody tr");
  await rows.nth(3).waitFor(); // a table is made when it is opened
  assert.equal(await rows.count(), 4);
});

visit("nothing found is said, too", { url }, async (page) => {
  await ask(page, "   ");
  assert.match(await status(page), /^Nothing found/);
  assert.deepEqual(await looks(page), { text: "   ", marks: [] });
});

/** Label, score and width of the bar of each label. */
const bars = (page) =>
  page.locator(".bars li").evaluateAll((rows) =>
    rows.map((row) => {
      const bar = row.querySelector("i");
      const share = bar && parseFloat(getComputedStyle(bar, "::before").width) / bar.clientWidth;
      return [...Array.from(row.querySelectorAll("span"), (cell) => cell.textContent), share];
    }),
  );

visit("labels have bars and numbers", { url }, async (page) => {
  await model(page).selectOption("demo-sentiment");
  const text = "What a wonderful evening!";
  await page.getByText(text).waitFor();
  await ask(page, text);
  const [labels] = await answer(`${url}models/demo-sentiment`, { inputs: text });
  const shown = await bars(page);
  assert.deepEqual(
    shown.map(([label, score]) => [label, score]),
    labels.map(({ label, score }) => [label, score.toFixed(4)]),
  );
  shown.forEach(([, , share], index) => assert.ok(Math.abs(share - labels[index].score) < 0.01));
  assert.match(await status(page), /^positive, 0\.\d{4}: the best of 3 labels/);
});

visit("the model is picked among those that are served, with what it needs", { url: several }, async (page) => {
  const options = await model(page).locator("option").allTextContents();
  assert.deepEqual(options, ["bert-ner", "bert-rerank", "bert-regression", "./nowhere (could not be loaded)"]);
  await page.getByText("token-classification · BertForTokenClassification").waitFor();
  await ask(page, "Sarah");
  await model(page).selectOption("bert-regression");
  await page.getByText("text-classification · BertForSequenceClassification").waitFor();
  await page.locator(".bars").waitFor();
  assert.ok(await page.getByText("Strategy", { exact: true }).isHidden());
  const [[only]] = await bars(page);
  assert.ok(only, "another model is asked at once");
});

visit("a score that is no share has no bar", { url: several }, async (page) => {
  await page.getByText("token-classification").first().waitFor();
  await page.route("**/models/bert-regression", reply(200, [[{ label: "LABEL_0", score: -3.25 }]]));
  await model(page).selectOption("bert-regression");
  await page.getByText("text-classification").first().waitFor();
  await ask(page, "a");
  assert.deepEqual(await bars(page), [["LABEL_0", "-3.2500", null]]);
});

visit("a model of pairs has a second text", { url: several }, async (page) => {
  await page.getByText("token-classification").first().waitFor();
  await model(page).selectOption("bert-rerank");
  const second = page.getByRole("textbox", { name: "Second text" });
  await second.fill("London is large.");
  await ask(page, "Where is London?");
  const inputs = { text: "Where is London?", text_pair: "London is large." };
  const [[label]] = await answer(`${several}models/bert-rerank`, { inputs });
  const [[name, score]] = await bars(page);
  assert.deepEqual([name, score], [label.label, label.score.toFixed(4)]);
  const [[alone]] = await answer(`${several}models/bert-rerank`, { inputs: inputs.text });
  assert.notEqual(alone.score, label.score);
});

visit("what the server refuses is said in its words", { url: several, expected: /status of 500/ }, async (page) => {
  await page.getByText("token-classification").first().waitFor();
  await model(page).selectOption("./nowhere");
  await page.getByRole("button", { name: "Ask", exact: true }).click();
  const alert = page.getByRole("alert");
  await alert.waitFor();
  assert.match(await alert.textContent(), /^500 Backend.*Model \.\/nowhere could not be loaded: .*no such folder/);
});

visit("a text that somebody wrote stays when the model changes", { url }, async (page) => {
  await ask(page, "Mine");
  await model(page).selectOption("demo-sentiment");
  await page.locator(".bars").waitFor();
  assert.equal(await page.getByRole("textbox", { name: "Text", exact: true }).inputValue(), "Mine");
});
