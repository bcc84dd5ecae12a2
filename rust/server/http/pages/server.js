// Requests to the server: what it refuses is said in its words, what it puts off is asked again.
"use strict";

/** How often a busy server is asked again; a model that loads is waited for until somebody stops it. */
const RETRIES = 5;

/** What went wrong, as the server said it, and after how many seconds it may be asked again. */
class Problem extends Error {
  constructor(status, title, message, after = null) {
    super(message);
    Object.assign(this, { status, title, after });
  }

  static async from(response) {
    const body = await response.json().catch(() => null); // a proxy may have answered
    const title = `${response.status} ${body?.error_type ?? response.statusText}`;
    const message = body?.error ?? "The answer is not one of candlewick.";
    return new Problem(response.status, title, message, response.headers.get("retry-after"));
  }

  /** Seconds to wait before the next attempt; null where there is none. */
  wait(attempt) {
    const said = Math.max(1, Number.parseFloat(this.after) || 1);
    if (this.after === null || (this.status === 429 && attempt > RETRIES)) return null;
    if (this.status === 503) return Math.min(said, 10);
    // Clients that were refused together shall not come back together.
    if (this.status === 429) return Math.min(said * 2 ** (attempt - 1), 30) * (1 + Math.random() / 4);
    return null;
  }
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

/** The path of a model; a part of an id that is dots would be taken for a folder. */
function pathOf(id) {
  const part = encodeURIComponent(id);
  return "models/" + (/(^|\/)\.\.?(\/|$)/.test(id) ? part : part.replaceAll("%2F", "/"));
}

/** One request; throws a Problem for any answer but a good one. */
async function request(path, { key, body, signal }) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  if (body) headers["Content-Type"] = "application/json";
  const options = { method: body ? "POST" : "GET", headers, signal, body: body && JSON.stringify(body) };
  const response = await fetch(new URL(path, HOME), options).catch((error) => {
    throw signal?.aborted ? error : new Problem(0, "No answer", "The server can't be reached.");
  });
  if (!response.ok) throw await Problem.from(response);
  return response;
}

/** The same, again as long as the server says that this may help; `waiting` is told of each time. */
async function patiently(path, options, waiting) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await request(path, options);
    } catch (problem) {
      const seconds = problem.wait?.(attempt) ?? null;
      if (seconds === null) throw problem;
      waiting(problem, seconds);
      await pause(seconds, options.signal);
    }
  }
}
