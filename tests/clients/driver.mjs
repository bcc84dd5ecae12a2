// Calls of @huggingface/inference: reads cases as JSON, prints what came of them.
import { readFileSync } from "node:fs";
import * as library from "@huggingface/inference";

const Client = library.InferenceClient ?? library.HfInference;

// The documented way to reach another server by a model's id. Hosted are here one provider and both tasks.
const redirected = (server) => async (address, request) => {
  const { host, pathname } = new URL(address);
  if (host !== "huggingface.co") return fetch(server + pathname, request);
  const providerId = pathname.replace("/api/models/", "");
  const task = providerId.includes("sentiment") ? "text-classification" : "token-classification";
  return Response.json({ inferenceProviderMapping: { "hf-inference": { providerId, status: "live", task } } });
};

async function call({ token, endpoint, redirect, method, arguments: given, options }) {
  const made = new Client(token ?? "", redirect ? { fetch: redirected(redirect) } : {});
  const answer = (endpoint ? made.endpoint(endpoint) : made)[method](given, options);
  if (method !== "streamingRequest") return await answer;
  const events = [];
  for await (const event of answer) events.push(event);
  return events;
}

const found = {};
for (const one of JSON.parse(readFileSync(0, "utf-8"))) {
  const started = performance.now();
  let result;
  try {
    result = { answer: await call(one) };
  } catch (error) {
    const { requestId, status, body } = error.httpResponse ?? {};
    result = { error: { name: error.name, message: error.message, requestId, status, body } };
  }
  found[one.name] = { ...result, seconds: (performance.now() - started) / 1000 };
}
process.stdout.write(JSON.stringify(found));
