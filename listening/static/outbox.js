// Answers, plays and likes on their way to the server. Each is kept in the browser until the server has acknowledged it,
// so that neither a lost connection nor a reload loses one; the server takes a repeated one as one.

import { request, untilReached } from "./api.js";

const PREFIX = "toccata-unsent/";
const waiting = new Map(); // by name: who waits for the reply in this tab
const memory = new Map(); // instead of localStorage, where the browser forbids it
let sending = null;

function storage() {
  try {
    localStorage.setItem("toccata-probe", "");
    localStorage.removeItem("toccata-probe");
    return localStorage;
  } catch {
    return null;
  }
}

const kept = storage();

function put(key, value) {
  if (kept) kept.setItem(key, value);
  else memory.set(key, value);
}

function get(key) {
  return kept ? kept.getItem(key) : memory.get(key) ?? null;
}

function remove(key) {
  if (kept) kept.removeItem(key);
  else memory.delete(key);
}

function keys() {
  return (kept ? Object.keys(kept) : [...memory.keys()]).filter((key) => key.startsWith(PREFIX));
}

function oldest() {
  // One key for each, so that two tabs cannot overwrite each other's.
  const items = keys().map((key) => {
    try {
      return { key, text: get(key), ...JSON.parse(get(key)) };
    } catch {
      remove(key); // not ours
      return null;
    }
  });
  return items.filter((item) => item?.path).sort((a, b) => a.time - b.time)[0];
}

function settle(item, how, what) {
  if (get(item.key) === item.text) remove(item.key); // a newer one of this name stays
  waiting.get(item.text)?.[how](what);
  waiting.delete(item.text);
}

async function sendAll() {
  for (let item = oldest(); item; item = oldest()) {
    try {
      const post = () => request(item.path, item.body);
      settle(item, "resolve", await untilReached("unsent", "Not saved yet, trying again.", post));
    } catch (problem) {
      settle(item, "reject", problem);
    }
  }
}

/** Send whatever is unsent, oldest first; resolves when nothing is left. Refusals go to who posted them. */
export function flush() {
  sending ??= sendAll().finally(() => {
    sending = null;
  });
  return sending;
}

/** POST `body` to `path`; a newer one of the same `name` replaces it. The reply's data, or Refused. */
export function post(name, path, body) {
  const key = PREFIX + name;
  const text = JSON.stringify({ path, body, time: Date.now() });
  put(key, text);
  const reply = new Promise((resolve, reject) => waiting.set(text, { resolve, reject }));
  flush().then(() => oldest() && flush()); // one that came when the last run had just ended
  return reply;
}

/** Forget what is unsent, as when the listener is deleted. */
export function clear() {
  keys().forEach(remove);
}
