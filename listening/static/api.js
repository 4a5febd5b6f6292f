// Requests to the server: its refusals in words, the CSRF token, and further tries while it cannot be reached.

import { connection } from "./messages.js";

const TIMEOUT_MS = 15000;
const LONGEST_WAIT_S = 10; // between two tries
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]); // the same request may succeed later

let csrf = "";

/** The server understood the request and says no; `message` is its reason, `status` the HTTP status. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** No answer, or one that says "later". */
export class Unreached extends Error {}

async function answer(path, body) {
  const post = body !== undefined;
  const options = { signal: AbortSignal.timeout(TIMEOUT_MS), credentials: "same-origin", cache: "no-store" };
  if (post) {
    options.method = "POST";
    options.headers = { "Content-Type": "application/json", "X-CSRF-Token": csrf };
    options.body = JSON.stringify(body);
  }
  let reply;
  let data = null;
  try {
    reply = await fetch(path, options);
    if (reply.status !== 204) data = await reply.json();
  } catch (problem) {
    if (!reply || reply.ok) throw new Unreached(String(problem)); // cut off; a refusal needs no JSON
  }
  if (PASSING.has(reply.status)) throw new Unreached(`status ${reply.status}`);
  if (!reply.ok) throw new Refused(data?.error ?? `The server refused this (${reply.status}).`, reply.status);
  return data;
}

/** The listener's session; its token is sent with every later POST. */
export async function session() {
  const now = await answer("/api/session");
  csrf = now.csrf;
  return now;
}

/** GET, or POST where there is a body. The data of the reply, null for 204; raises Refused or Unreached. */
export async function request(path, body) {
  try {
    return await answer(path, body);
  } catch (problem) {
    // The token may be an old one: of before a restart of the server, or of before another tab agreed.
    if (!(problem instanceof Refused) || problem.status !== 403 || body === undefined) throw problem;
    const before = csrf;
    await session();
    if (csrf === before) throw problem;
    return answer(path, body);
  }
}

/** Wait `seconds`, less if the connection comes back. */
export function pause(seconds) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, seconds * 1000);
    function done() {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    }
    addEventListener("online", done);
  });
}

/** What `action` returns, called again and again until the server is reached; null once `signal` is aborted. */
export async function untilReached(owner, words, action, signal) {
  try {
    for (let wait = 1; !signal?.aborted; wait = Math.min(2 * wait, LONGEST_WAIT_S)) {
      try {
        return await action();
      } catch (problem) {
        if (!(problem instanceof Unreached)) throw problem;
      }
      connection(owner, words);
      await pause(wait);
    }
    return null;
  } finally {
    connection(owner, "");
  }
}

/** GET `path` until the server is reached; null for 204 or once `signal` is aborted. */
export function load(path, signal) {
  return untilReached(path, "The connection is lost, trying again.", () => request(path), signal);
}
