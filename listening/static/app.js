// The page: which view is open, by consent and by the history of the browser.

import { flush } from "./outbox.js";
import { listenToKeys } from "./keys.js";
import { openConsent, openStart } from "./start.js";
import { openPairs } from "./pairs.js";
import { openRadio } from "./radio.js";
import { say } from "./messages.js";
import { session, untilReached } from "./api.js";

const VIEWS = { consent: openConsent, start: openStart, pairs: openPairs, radio: openRadio };
const TITLES = { consent: "before you listen", start: "listening", pairs: "pairs", radio: "radio" };
const tabs = new BroadcastChannel("toccata-session"); // another tab agreed, or deleted the answers

let leaving = new AbortController(); // aborted when the view is left
let keys = {};

const room = {
  session: null,

  /** Add `more` to the entry of the history that is shown. */
  keep(more) {
    history.replaceState({ view: shownView(), ...history.state, ...more }, "");
  },

  /** Ask for the session again, and open what it allows. */
  async restart(quiet = false) {
    await openSession();
    if (!quiet) tabs.postMessage("changed");
    show(true);
  },

  /** Say why the server refused; one that does not know the listener any more is asked for consent. */
  async trouble(problem) {
    if (problem.status === 403) await room.restart(true);
    say(problem.message);
  },
};

async function openSession() {
  room.session = await untilReached("session", "The server cannot be reached, trying again.", session);
}

function shownView() {
  const named = location.hash.slice(1);
  if (!room.session.consented) return "consent";
  return ["pairs", "radio"].includes(named) && room.session.modes.includes(named) ? named : "start";
}

function show(focus) {
  leaving.abort();
  leaving = new AbortController();
  const view = shownView();
  for (const name of Object.keys(VIEWS)) document.getElementById(name).hidden = name !== view;
  for (const link of document.querySelectorAll("header nav a")) {
    const name = link.hash.slice(1);
    link.hidden = !room.session.consented || !room.session.modes.includes(name);
    if (name === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `Toccata: ${TITLES[view]}`;
  say("");
  keys = VIEWS[view](room, history.state ?? {}, leaving.signal).keys ?? {};
  if (focus) {
    document.getElementById(`${view}-title`).focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

addEventListener("popstate", () => room.session && show(true));
tabs.addEventListener("message", () => room.session && room.restart(true));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // its hash is no view
  document.getElementById("main").focus();
});
listenToKeys(() => keys);

try {
  await openSession();
  if (room.session.consented) flush();
  show(false);
} catch (problem) {
  say(problem.message);
}
