// An answer becomes something to look at.
"use strict";

const labelOf = (entity) => entity.entity_group ?? entity.entity;
/** A label without its place in an entity. */
const kind = (label) => label.replace(/^[BIESLU]-/, "");

/** Kinds in the order in which they got their colours; steps of the golden angle keep any number of hues apart. */
const kinds = [];
function hue(label) {
  if (!kinds.includes(kind(label))) kinds.push(kind(label));
  return (45 + kinds.indexOf(kind(label)) * 137.5) % 360;
}

/**
 * The text cut where entities begin and end; offsets count code points, as `Array.from` does. Entities of one stretch
 * (bytes of an emoji) stand side by side; one that begins inside of another only stands in the table.
 */
function stretches(text, entities) {
  const characters = Array.from(text);
  const slice = (start, end) => characters.slice(start, end).join("");
  const found = [];
  let end = 0;
  for (const entity of entities.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const last = found.at(-1);
    if (entity.start === last?.start && entity.end === last.end) last.entities.push(entity);
    if (entity.start < end || entity.start === entity.end) continue;
    found.push({ text: slice(end, entity.start) });
    found.push({ text: slice(entity.start, entity.end), start: entity.start, end: entity.end, entities: [entity] });
    end = entity.end;
  }
  return [...found, { text: slice(end) }].filter((stretch) => stretch.text);
}

function tag(entity) {
  const label = labelOf(entity);
  return element("span", { class: "tag", dir: "ltr", "--hue": hue(label) }, `${label} ${entity.score.toFixed(3)}`);
}

function marked(text, entities) {
  const nodes = stretches(text, entities).map((stretch) => {
    if (!stretch.entities) return stretch.text;
    return element("mark", { "--hue": hue(labelOf(stretch.entities[0])) }, stretch.text, ...stretch.entities.map(tag));
  });
  return scrolled("The text with marks", element("div", { class: "text", dir: "auto" }, ...nodes));
}

function listed(entities) {
  const cells = (one) => [labelOf(one), one.score.toFixed(6), element("bdi", {}, one.word), one.start, one.end];
  const rows = entities.map((entity) => cells(entity).map((cell) => [cell]));
  return table(["Label", "Score", "Word", "Start", "End"], rows);
}

/** Labels as bars; raw scores of a regression are no shares of anything, and stand alone. */
function bars(labels) {
  const shares = labels.every(({ score }) => score >= 0 && score <= 1);
  const bar = (score) => (shares ? [element("i", { "--share": `${score * 100}%`, "aria-hidden": "true" })] : []);
  const rows = labels.map(({ label, score }) =>
    element("li", {}, element("span", {}, label), element("span", {}, score.toFixed(4)), ...bar(score)),
  );
  return element("ol", { class: "bars" }, ...rows);
}

/** Something that may be long, so that what comes after it stays in reach. */
function scrolled(title, node) {
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, node);
}

/** Something that is made when it is looked at first: a long text has thousands of rows. */
function folded(title, make) {
  const box = element("details", {}, element("summary", {}, title));
  box.addEventListener("toggle", () => box.append(scrolled(title, make())), { once: true });
  return box;
}

/** What was found, in a few words, and the nodes that show it. */
function shown(text, answer) {
  const json = folded("The answer as JSON", () => element("pre", {}, JSON.stringify(answer, null, 2)));
  if (Array.isArray(answer[0])) {
    const [labels] = answer;
    const all = labels.length === 1 ? "the only label" : `the best of ${labels.length} labels`;
    return { summary: `${labels[0].label}, ${labels[0].score.toFixed(4)}: ${all}`, nodes: [bars(labels), json] };
  }
  if (answer.length === 0) return { summary: "Nothing found", nodes: [marked(text, answer), json] };
  const counts = Map.groupBy(answer, (entity) => kind(labelOf(entity)));
  const each = [...counts].map(([name, { length }]) => `${length} ${name}`).join(", ");
  const [one, more] = answer[0].entity === undefined ? ["entity", "entities"] : ["token", "tokens"];
  const summary = `${answer.length} ${answer.length === 1 ? one : more}: ${each}`;
  return { summary, nodes: [marked(text, answer), folded("The same as a table", () => listed(answer)), json] };
}
