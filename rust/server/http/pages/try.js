// The form: what it asks, and what is shown meanwhile.
"use strict";

const MEANING = {
  none: "Every token by itself, with the label that it got.",
  simple: "Neighbouring tokens of one kind are one entity.",
  first: "A word has the label of its first token.",
  average: "A word has the label that is best for its tokens together.",
  max: "A word has the label of its surest token.",
};
const STATES = { loading: " (is loading)", failed: " (could not be loaded)" };
const VERBS = { "token-classification": "Find entities", "text-classification": "Classify" };
const SAMPLES = {
  tokens: ["My name is Sarah Jessica Parker but you can call me Jessica. I live in London.", ""],
  text: ["What a wonderful evening!", ""],
  pair: ["Where is London?", "London lies on the Thames, in the south-east of England."],
};
/** Seconds between two looks at a model that loads. */
const LOOK = 2;

/** A row of radio buttons. */
function choice(box, name, values, chosen) {
  for (const value of values) {
    const button = element("input", { type: "radio", name, value });
    button.checked = value === chosen;
    box.append(element("label", {}, button, element("span", {}, value)));
  }
}
choice($("strategies"), "strategy", Object.keys(MEANING), "simple");
choice($("languages"), "language", Object.keys(LANGUAGES), "curl");

const form = $("form").elements;
/** What the server tells about the chosen model. */
let model = {};
/** The request under way; its signal's reason is whether it was "stopped" or "replaced". */
let under = new AbortController();
let asked = false;

const isText = () => model.task === "text-classification";
const isTokens = () => model.task === "token-classification";
const chosen = () => (form.model.value ? pathOf(form.model.value) : "");
const get = async (path) => (await request(path, { key: form.key.value })).json();

/** What the form asks; of a model whose task is not known yet, without parameters. */
function call() {
  const [text, pair] = [form.text.value, form.pair.value];
  const body = { inputs: isText() && pair ? { text, text_pair: pair } : text };
  if (isTokens()) body.parameters = { aggregation_strategy: form.strategy.value };
  // Windows that share an eighth: enough to see what stands around their edges.
  if (isTokens() && form.windows.checked && !form.windows.disabled) {
    body.parameters.stride = Math.floor(model.max_input_length / 8);
  }
  return { url: new URL(chosen(), HOME).href, task: model.task, body, keyed: form.key.value !== "" };
}

/** Shows a problem; without one, that there is none. */
function complain(problem) {
  $("problem").hidden = !problem;
  $("title").textContent = problem?.title ?? "";
  $("message").textContent = problem?.message ?? "";
  if (problem?.status !== 401) return;
  $("secret").hidden = false;
  form.key.ariaInvalid = form.key.value !== "";
  form.key.focus();
}

/** Shows the warnings of a header, each of which is `topic; message`. */
function warn(header) {
  const warnings = header?.split(/, (?=\w+; )/) ?? [];
  const cut = header?.includes("truncation;");
  if (cut && isTokens()) warnings.push("“Read long texts to their end” finds the rest.");
  $("warnings").hidden = warnings.length === 0;
  $("warnings").replaceChildren(...warnings.map((warning) => element("li", {}, warning)));
}

function show(text, answer, headers) {
  const { summary, nodes } = shown(text, answer);
  const cached = headers.get("x-compute-type") === "cache";
  const time = cached ? "from the cache" : `${Number(headers.get("x-total-time")) || "less than 1"} ms`;
  $("found").replaceChildren(...nodes);
  $("status").textContent = `${summary} (${time})`;
  warn(headers.get("x-hf-warning"));
}

async function ask() {
  under.abort("replaced");
  under = new AbortController();
  const { signal } = under;
  asked = true;
  $("answer").setAttribute("aria-busy", "true");
  $("status").textContent = "Asking …";
  complain();
  form.key.ariaInvalid = false;
  const waiting = (problem, seconds) => {
    $("stop").hidden = false;
    $("status").textContent = `${problem.message.replace(/\.$/, "")}. Asking again in ${Math.ceil(seconds)} s.`;
  };
  try {
    if (!model.task) await know();
    const [text, { body }] = [form.text.value, call()];
    const response = await patiently(chosen(), { key: form.key.value, body, signal }, waiting);
    show(text, await response.json(), response.headers);
  } catch (error) {
    if (signal.reason === "replaced") return;
    $("found").replaceChildren();
    warn(null);
    $("status").textContent = signal.aborted ? "Stopped." : "";
    if (!signal.aborted) complain(error instanceof Problem ? error : new Problem(0, "Unexpected", String(error)));
  }
  $("answer").removeAttribute("aria-busy");
  $("stop").hidden = true;
}

/** Asks what is served, and again while the chosen model loads. */
async function know() {
  const { models } = await get("info");
  const before = form.model.value;
  const option = ({ id, state }) => element("option", { value: id }, id + (STATES[state] ?? ""));
  form.model.replaceChildren(...models.map(option));
  if (models.some(({ id }) => id === before)) form.model.value = before;
  await choose();
  clearTimeout(know.timer);
  if (model.state === "loading") know.timer = setTimeout(() => know().catch(complain), LOOK * 1000);
}

/** Takes in the model that is chosen: what it is, and which fields it has use for. */
async function choose() {
  const id = form.model.value;
  const found = await get(`${chosen()}/info`);
  if (form.model.value !== id) return; // another one was chosen meanwhile
  model = found;
  const labels = Object.values(Object.values(model.model_type ?? {})[0]?.id2label ?? {});
  labels.filter((label) => label !== "O").forEach(hue);
  const length = model.max_input_length && `up to ${model.max_input_length} tokens`;
  $("about").textContent = [model.task, model.architecture, model.model_dtype, length].filter(Boolean).join(" · ");
  $("tokens").hidden = !isTokens();
  $("second").hidden = !isText();
  $("ask").textContent = VERBS[model.task] ?? "Ask";
  const alone = labels.length === 1; // a single label says how well two texts go together
  suggest(!isText() ? "tokens" : alone ? "pair" : "text");
  $("second").open = alone || form.pair.value !== "";
  refresh();
}

/** Fills in a text to try, unless somebody wrote one. */
function suggest(name) {
  const untouched = (text, pair) => form.text.value === text && form.pair.value === pair;
  if (!untouched("", "") && !Object.values(SAMPLES).some((sample) => untouched(...sample))) return;
  [form.text.value, form.pair.value] = SAMPLES[name];
}

/** Brings up to date what follows from the form. */
function refresh() {
  form.windows.disabled = form.strategy.value === "none";
  $("meaning").textContent = MEANING[form.strategy.value];
  const { write, needs } = LANGUAGES[document.querySelector("[name=language]:checked").value];
  const code = write(call());
  $("code").textContent = code;
  // Breaking the one line of a long text takes browsers seconds, at each key.
  $("code").classList.toggle("long", code.length > 20_000);
  const key = form.key.value && "the key in the variable API_KEY";
  $("needs").textContent = [needs, key].some(Boolean) ? `Needs ${[needs, key].filter(Boolean).join(" and ")}` : "";
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
$("form").addEventListener("input", refresh);
$("form").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("form").requestSubmit();
});
$("form").addEventListener("change", async (event) => {
  if (event.target === form.model) await know().catch(complain);
  if (asked && form.text.value && (event.target === form.model || event.target.closest("#tokens"))) ask();
});
$("stop").addEventListener("click", () => under.abort("stopped"));
$("calls").addEventListener("change", refresh);
$("copy").addEventListener("click", () => copied($("code")));
suggest("tokens");
refresh();
know().catch(complain);
