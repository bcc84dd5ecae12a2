// The server's OpenAPI document as a page.
"use strict";

const HUES = { get: 200, post: 45 };
const slug = (method, path) => `${method}${path}`.replace(/\W+/g, "-");
const pretty = (value) => JSON.stringify(value, null, 1).replace(/\n\s*/g, " ");

/** A title and code, which may be copied where it is a call. */
function sample(title, code, isCall) {
  const shown = element("code", {}, code);
  const head = element("div", { class: "actions" }, element("p", {}, ...prose(title), ":"));
  if (isCall) {
    const button = element("button", { type: "button" }, "Copy");
    button.addEventListener("click", () => copied(shown));
    head.append(button);
  }
  return [head, element("pre", {}, shown)];
}

/** What a path takes: parameters, and a body with calls that have one. */
function taken(path, { parameters = [], requestBody }, { schemas }) {
  const nodes = [];
  if (parameters.length) {
    const rows = parameters.map((one) => [one.name, [`in the ${one.in}`], one.description]);
    nodes.push(element("h4", {}, "Parameters"), explained(rows));
  }
  const url = new URL(path.slice(1), HOME).href.replaceAll("%7B", "{").replaceAll("%7D", "}");
  for (const [media, { schema, examples = {} }] of Object.entries(requestBody?.content ?? {})) {
    nodes.push(element("h4", {}, "Body"), element("p", {}, `${media}: `, ...phrase(schema)));
    const body = schemas[nameOf(schema.$ref)];
    nodes.push(members(body));
    for (const form of body.anyOf ?? [])
      nodes.push(element("p", {}, "A ", ...phrase(form), ":"), members(schemas[nameOf(form.$ref)]));
    nodes.push(
      ...Object.values(examples).flatMap(({ summary, value }) =>
        sample(summary, curl({ url, body: value, keyed: false }), true),
      ),
    );
  }
  return nodes;
}

/** The statuses of errors with the names of their responses. */
const failures = (responses) =>
  Object.entries(responses)
    .filter(([, { $ref }]) => $ref)
    .map(([status, { $ref }]) => [status, nameOf($ref)]);

/** What a path gives: its answer, and its errors. */
function given({ responses }, components) {
  const { description, content = {}, headers } = responses["200"];
  const nodes = [element("h4", {}, "Answer: 200"), element("p", {}, ...prose(description))];
  for (const [media, { schema, examples = {} }] of Object.entries(content)) {
    nodes.push(element("p", {}, media, ...(schema ? [": ", ...phrase(schema)] : [])));
    nodes.push(...Object.values(examples).flatMap(({ summary, value }) => sample(summary, pretty(value), false)));
  }
  if (headers) nodes.push(explained(Object.entries(headers).map(([name, header]) => [name, [], header.description])));
  const rows = failures(responses).map(([status, name]) => {
    const link = element("a", { href: `#error-${name}` }, `${status} ${name}`);
    return [[link], prose(components.responses[name].description)];
  });
  if (rows.length) nodes.push(element("h4", {}, "Errors"), table(["Status", "Meaning"], rows));
  return nodes;
}

function operation([method, path, about], components) {
  const badge = element("span", { class: "method", "--hue": HUES[method] ?? 300 }, method.toUpperCase());
  const summary = element("span", { class: "soft" }, ...prose(about.summary));
  const title = element("summary", {}, element("h3", {}, badge, element("code", {}, path)), summary);
  const key = about.security ? ["Asks for `Authorization: Bearer …` where the server was given keys."] : [];
  const body = element("div", {}, ...key.map((text) => element("p", {}, ...prose(text))));
  body.append(...taken(path, about, components), ...given(about, components));
  return element("details", { id: slug(method, path), class: "card" }, title, body);
}

function error(status, name, { responses }) {
  const { description, headers = {}, content } = responses[name];
  const title = element("h3", {}, `${status} ${name}`);
  const section = element("div", { id: `error-${name}` }, title, element("p", {}, ...prose(description)));
  for (const [header, { description }] of Object.entries(headers)) {
    section.append(element("p", {}, element("code", {}, header), ": ", ...prose(description)));
  }
  section.append(element("pre", {}, pretty(content["application/json"].example)));
  return section;
}

function type([name, schema]) {
  const title = element("h3", {}, name);
  return element("div", { id: `type-${name}` }, title, element("p", {}, ...prose(schema.description)), members(schema));
}

/** An entry of the contents that leads to a section, with links to what is in it. */
function enter(section, links) {
  const inner = links.map(([href, text]) => element("li", {}, element("a", { href }, text)));
  const title = section.querySelector("h2").textContent;
  const entry = element("li", {}, element("a", { href: `#${section.id}` }, title), element("ul", {}, ...inner));
  $("contents").firstChild.append(entry);
}

function show({ info, tags, paths, components }) {
  $("about").append(...prose(`${info.description} This is version ${info.version}.`));
  const all = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, about]) => [method, path, about]),
  );
  for (const { name, description } of tags) {
    const own = all.filter(([, , about]) => about.tags.includes(name));
    const section = element("section", { id: slug("", name) }, element("h2", {}, name));
    section.append(element("p", {}, ...prose(description)), ...own.map((one) => operation(one, components)));
    $("paths").append(section);
    enter(
      section,
      own.map(([method, path]) => [`#${slug(method, path)}`, `${method.toUpperCase()} ${path}`]),
    );
  }
  const statuses = Object.fromEntries(all.flatMap(([, , { responses }]) => failures(responses)));
  $("errors").append(...Object.entries(statuses).map(([status, name]) => error(status, name, components)));
  $("types").append(...Object.entries(components.schemas).map(type));
  enter($("errors"), []);
  enter($("types"), []);
  for (const id of ["all", "errors", "types"]) $(id).hidden = false;
}

/** Opens what the address names. */
function reveal() {
  const target = $(decodeURIComponent(location.hash.slice(1)));
  if (target?.matches("details")) target.open = true;
  target?.scrollIntoView();
}

$("all").addEventListener("click", () => {
  const open = $("all").getAttribute("aria-pressed") === "false";
  $("all").setAttribute("aria-pressed", open);
  for (const box of document.querySelectorAll("details")) box.open = open;
});
addEventListener("hashchange", reveal);
fetch(new URL("openapi.json", HOME))
  .then((response) => response.json())
  .then(show)
  .then(reveal)
  .catch((problem) => $("about").append(`The server's description can't be read (${problem.message}).`));
