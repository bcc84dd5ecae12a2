// The page's call, written for a shell, for Python and for JavaScript.
"use strict";

/**
 * JSON, which is a literal of Python and of JavaScript as well. Controls are escaped: a terminal acts on those that are
 * pasted, and those of writing direction show code in another order than it has.
 */
function literal(value, indent) {
  const escaped = (character) => "\\u" + character.charCodeAt(0).toString(16).padStart(4, "0");
  return JSON.stringify(value, null, indent).replace(/[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, escaped);
}

/** One word for a POSIX shell. */
const word = (text) => (/^[\w:/.%~-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** Linux takes no argument of more than 128 KiB. */
const LONGEST = 100_000;

function curl({ url, body, keyed }) {
  const json = literal(body);
  const head = [`curl ${word(url)}`, ...(keyed ? [`-H "Authorization: Bearer $API_KEY"`] : [])];
  head.push("-H 'Content-Type: application/json'");
  // A heredoc needs no quotes, and has no limit.
  const long = new TextEncoder().encode(json).length > LONGEST;
  return [...head, long ? `-d @- <<'END'\n${json}\nEND` : `-d ${word(json)}`].join(" \\\n  ");
}

function python({ url, task, body, keyed }) {
  const call = task === "text-classification" ? "text_classification" : "token_classification";
  const options = Object.entries(body.parameters ?? {}).map(([name, value]) => `${name}=${literal(value)}`);
  const given = [literal(body.inputs), ...options];
  const several = given.join(", ").length > 80 && options.length > 0;
  return [
    ...(keyed ? ["import os", ""] : []),
    "from huggingface_hub import InferenceClient",
    "",
    `client = InferenceClient(base_url=${literal(url)}${keyed ? `, token=os.environ["API_KEY"]` : ""})`,
    `answer = client.${call}(${several ? `\n    ${given.join(",\n    ")},\n` : given.join(", ")})`,
    "print(answer)",
  ].join("\n");
}

function javascript({ url, task, body, keyed }) {
  // The client refuses answers without groups, which is what this strategy gives.
  if (body.parameters?.aggregation_strategy === "none") return plainJavascript({ url, body, keyed });
  const call = task === "text-classification" ? "textClassification" : "tokenClassification";
  return [
    `import { InferenceClient } from "@huggingface/inference";`,
    "",
    `const client = new InferenceClient(${keyed ? "process.env.API_KEY" : ""}).endpoint(${literal(url)});`,
    `const answer = await client.${call}(${literal(body, 2)});`,
    "console.log(answer);",
  ].join("\n");
}

function plainJavascript({ url, body, keyed }) {
  const key = keyed ? "Authorization: `Bearer ${process.env.API_KEY}`, " : "";
  return [
    `const response = await fetch(${literal(url)}, {`,
    `  method: "POST",`,
    `  headers: { ${key}"Content-Type": "application/json" },`,
    `  body: JSON.stringify(${literal(body, 2).replaceAll("\n", "\n  ")}),`,
    "});",
    "console.log(await response.json());",
  ].join("\n");
}

/** Each language with what writes it, and what must be there to run it. */
const LANGUAGES = {
  curl: { write: curl, needs: "" },
  Python: { write: python, needs: "pip install huggingface_hub" },
  JavaScript: { write: javascript, needs: "npm install @huggingface/inference" },
};
