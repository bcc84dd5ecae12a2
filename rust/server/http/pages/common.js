// What both pages use. Whatever the server, its models or its users say becomes text nodes, and so never markup.
"use strict";

const $ = (id) => document.getElementById(id);

/** The server's address as the browser sees it, which behind a proxy may have a path. */
const HOME = new URL(location.pathname.replace(/(\/docs)?\/*$/, "/"), location.origin);
for (const link of document.links) link.href = new URL(link.getAttribute("href"), HOME);

/** An element with attributes and children; `--name` is a custom property of its style. */
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("--")) made.style.setProperty(key, value);
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** A table of lists of nodes. */
function table(columns, rows) {
  const head = columns.map((name) => element("th", { scope: "col" }, name));
  const body = rows.map((cells) => element("tr", {}, ...cells.map((nodes) => element("td", {}, ...nodes))));
  return element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
}

/** Browsers give a clipboard only to localhost and HTTPS, but let all pages copy what is selected. */
async function copy(shown) {
  try {
    await navigator.clipboard.writeText(shown.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(shown);
    return document.execCommand("copy");
  }
}

/** Copies what an element shows, and says so for a while. */
async function copied(shown) {
  $("copied").textContent = (await copy(shown)) ? "Copied" : "Selected: copy it with the keyboard";
  clearTimeout(copied.timer);
  copied.timer = setTimeout(() => {
    $("copied").textContent = "";
  }, 4000);
}
