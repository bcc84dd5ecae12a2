// Schemas as words and tables.
"use strict";

/** What a reference names: the last part of its path. */
const nameOf = (reference) => reference.split("/").at(-1);

/** A sentence of the document, in which backticks stand around code. */
function prose(text = "") {
  return text.split("`").map((part, index) => (index % 2 ? element("code", {}, part) : part));
}

/** Lists of nodes as one, with a word between them. */
const joined = (lists, between) => lists.flatMap((nodes, index) => (index ? [between, ...nodes] : nodes));

/** The type of a schema in a few words: `list of Entity or null`, with links to what has a name. */
function phrase(schema) {
  if (schema.$ref) return [element("a", { href: `#type-${nameOf(schema.$ref)}` }, nameOf(schema.$ref))];
  if (schema.enum)
    return joined(
      schema.enum.map((value) => [element("code", {}, String(value))]),
      ", ",
    );
  const forms = schema.oneOf ?? schema.anyOf;
  if (forms) {
    const nothing = forms.filter(({ type }) => type === "null");
    return joined([...forms.filter(({ type }) => type !== "null"), ...nothing].map(phrase), " or ");
  }
  const word = (type) => (type === "array" ? ["list of ", ...phrase(schema.items)] : [type]);
  const words = joined([schema.type ?? "anything"].flat().map(word), " or ");
  return schema.minimum > 0 ? [...words, `, at least ${schema.minimum}`] : words;
}

/** Names with what is to be said about each: a note below it, and its meaning. */
function explained(entries) {
  const row = ([name, note, meaning]) => [
    [element("code", {}, name), element("div", { class: "soft" }, ...note)],
    prose(meaning),
  ];
  return table(["Name", "Meaning"], entries.map(row));
}

/** The members of an object, or what else a schema is. */
function members(schema) {
  if (!schema.properties) return element("p", {}, ...phrase(schema));
  return explained(
    Object.entries(schema.properties).map(([name, member]) => {
      const required = schema.required?.includes(name) ? ["required: "] : [];
      // A member that may be null has its description inside.
      const about = member.description ?? member.oneOf?.find(({ description }) => description)?.description ?? "";
      const standard = member.default === undefined ? "" : ` Default: \`${JSON.stringify(member.default)}\`.`;
      return [name, [...required, ...phrase(member)], about + standard];
    }),
  );
}
