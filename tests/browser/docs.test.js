// The docs show all that the server's description says.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";

import { serve, visit } from "./harness.js";

const url = await serve();
const description = await (await fetch(`${url}openapi.json`)).json();
const OPERATIONS = Object.entries(description.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, about]) => ({ method, path, about })),
);

const docs = { url, path: "docs" };
const operation = (page, { method, path }) =>
  page.locator("details").filter({
    has: page.locator("h3", { hasText: new RegExp(`^${method.toUpperCase()}${path.replace(/[{}]/g, "\\$&")}$`) }),
  });

visit("every route has its parameters, bodies, examples and errors", docs, async (page) => {
  await page.getByRole("button", { name: "Open all" }).click();
  assert.equal(await page.locator("details").count(), OPERATIONS.length);
  for (const one of OPERATIONS) {
    const text = (await operation(page, one).textContent()).replaceAll("`", "");
    const says = (part) =>
      assert.ok(text.includes(part.replaceAll("`", "")), `${one.method} ${one.path} does not say ${part}`);
    says(one.about.summary);
    for (const { name, description } of one.about.parameters ?? []) [name, description].forEach(says);
    for (const [status, response] of Object.entries(one.about.responses)) {
      says(status);
      if (response.$ref) says(description.components.responses[response.$ref.split("/").at(-1)].description);
    }
    const bodies = [one.about.requestBody, one.about.responses["200"]].flatMap((body) =>
      Object.values(body?.content ?? {}),
    );
    for (const { schema, examples } of bodies) {
      if (schema?.$ref) says(schema.$ref.split("/").at(-1));
      for (const { summary } of Object.values(examples ?? {})) says(summary);
    }
  }
});

visit("every type has its members, and every error its example", docs, async (page) => {
  await page.getByText("Types", { exact: true }).first().waitFor();
  for (const [name, { properties = {}, enum: values = [] }] of Object.entries(description.components.schemas)) {
    const text = await page.locator(`#type-${name}`).textContent();
    const missing = [...Object.keys(properties), ...values].filter((part) => !text.includes(part));
    assert.deepEqual(missing, [], name);
  }
  for (const [name, response] of Object.entries(description.components.responses)) {
    const shown = await page.locator(`#error-${name} pre`).textContent();
    assert.deepEqual(JSON.parse(shown), response.content["application/json"].example);
  }
});

visit("every link within the page leads somewhere", docs, async (page) => {
  await page.getByText("Types", { exact: true }).first().waitFor();
  const lost = await page
    .locator("a[href^='#']")
    .evaluateAll((links) =>
      links.map((link) => link.hash.slice(1)).filter((id) => !document.getElementById(decodeURIComponent(id))),
    );
  assert.deepEqual(lost, []);
  const twice = await page
    .locator("[id]")
    .evaluateAll((all) => all.map(({ id }) => id).filter((id, at, ids) => ids.indexOf(id) !== at));
  assert.deepEqual(twice, []);
});

visit("an address within the page opens what it names", { ...docs, path: "docs#post-rerank" }, async (page) => {
  await page.getByText("Order texts by how well").first().waitFor();
  assert.ok(await page.locator("#post-rerank").evaluate((box) => box.open));
  await page.getByRole("navigation", { name: "Contents" }).getByRole("link", { name: "POST /predict" }).click();
  await page.locator("#post-predict[open]").waitFor();
});

visit("the page asks for itself and the description", docs, async (page) => {
  await page.getByText("Types", { exact: true }).first().waitFor();
  const names = await page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name));
  assert.deepEqual(names, [`${url}openapi.json`]);
});

visit("with and without a slash at the end", { url, path: "docs/" }, async (page) => {
  await page.getByText("Types", { exact: true }).first().waitFor();
  assert.equal(await page.getByRole("link", { name: "Try" }).evaluate(({ href }) => href), url);
});

const grant = (page, context) => context.grantPermissions(["clipboard-read", "clipboard-write"]);
visit("a call that is copied can be run", { ...docs, prepare: grant }, async (page) => {
  const box = operation(page, { method: "post", path: "/" });
  await box.locator("summary").click();
  await box.getByRole("button", { name: "Copy" }).first().click();
  await page.getByText("Copied", { exact: true }).waitFor();
  const code = await page.evaluate(() => navigator.clipboard.readText());
  const [entity] = JSON.parse(
    execFileSync("bash", ["-s"], { input: code.replace("curl ", "curl -sS "), encoding: "utf8" }),
  );
  assert.equal(entity.word, "Sarah Jessica Parker");
});
