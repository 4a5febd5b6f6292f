// Blind pairs: two players, one question, one answer.

import { counted, say } from "./messages.js";
import { load } from "./api.js";
import { makePlayer } from "./player.js";
import { flush, post } from "./outbox.js";

const HEARD_S = 5; // of each piece, or half of a shorter one, before an answer
const QUESTIONS = { better: "Which piece is better?", person: "Which piece was written by a person?" };
const element = (id) => document.getElementById(id);
const tabs = new BroadcastChannel("toccata-answered");

/** Ask pair after pair until the view is left. */
export function openPairs(room, state, signal) {
  const buttons = [...document.querySelectorAll("#answers [data-choice]")];
  const names = ["first", "second"];
  const enough = new Set(); // players that were heard long enough
  let pair = null; // the question that waits for an answer
  let current = 0;

  const players = ["First", "Second"].map((name, index) => makePlayer(element("pair-players"), name, {
    started() {
      choose(index);
      players[1 - index].pause();
    },
    heard(seconds) {
      if (!pair || enough.has(index) || seconds < Math.min(HEARD_S, pair[names[index]].seconds / 2)) return;
      enough.add(index);
      if (enough.size === 2) allow();
      else forbid(`Listen to the ${names[1 - index]} piece too.`);
    },
  }, signal));

  function choose(index) {
    current = index;
    players.forEach((player, other) => player.select(other === index));
  }

  function allow() {
    for (const button of buttons) button.disabled = false;
    element("answers-hint").textContent = "";
    say("You can answer now.");
  }

  function forbid(hint) {
    for (const button of buttons) button.disabled = true;
    element("answers-hint").textContent = hint;
  }

  async function ask(focus) {
    pair = null;
    forbid("");
    let next;
    try {
      await flush(); // an answer that is still unsent would be asked for again
      next = await load("/api/pair", signal);
    } catch (problem) {
      room.trouble(problem);
      return;
    }
    if (signal.aborted) return;
    element("question").hidden = !next;
    element("number").textContent = next ? `Question ${next.number}` : "";
    element("pairs-title").textContent = next ? QUESTIONS[next.question] : "Nothing is left to ask";
    if (focus) element("pairs-title").focus({ preventScroll: true });
    if (!next) {
      say(`Thank you, ${counted(room.session.votes, "answer")}. The radio plays on.`);
      return;
    }
    pair = next;
    enough.clear();
    for (const button of buttons) {
      button.hidden = button.dataset.choice === "tie" && next.question === "person";
      button.classList.remove("chosen");
    }
    forbid("Listen to both first: 5 seconds, or half of a shorter piece.");
    players.forEach((player, index) => player.load(next[names[index]]));
    choose(0);
    // A reload shows the same question; the clock of its answer goes on.
    if (history.state?.pair !== next.pair) room.keep({ pair: next.pair, since: Date.now() });
  }

  async function answer(choice) {
    const button = buttons.find((candidate) => candidate.dataset.choice === choice);
    if (!pair || button.disabled || button.hidden) return;
    const seconds = Math.max(0, (Date.now() - history.state.since) / 1000);
    const answered = pair.pair;
    pair = null;
    players.forEach((player) => player.pause());
    forbid("");
    say("");
    button.classList.add("chosen");
    try {
      const reply = await post(`vote/${answered}`, "/api/vote", { pair: answered, choice, seconds });
      room.session.votes = reply.votes;
      if (!signal.aborted) say(`Thank you, ${counted(reply.votes, "answer")}.`);
      tabs.postMessage(answered);
    } catch (problem) {
      if (signal.aborted) return;
      if (problem.status === 403) {
        room.trouble(problem);
        return;
      }
      say(problem.message);
    }
    if (!signal.aborted) await ask(true);
  }

  for (const button of buttons) {
    button.addEventListener("click", () => answer(button.dataset.choice), { signal });
  }
  tabs.addEventListener("message", (event) => {
    if (event.data === pair?.pair) ask(false); // answered in another tab
  }, { signal });
  ask(false);

  const play = (index) => () => {
    players[index].play();
    players[index].focus();
  };
  return {
    keys: {
      " ": () => players[current].toggle(),
      1: play(0),
      2: play(1),
      ArrowLeft: () => players[current].skip(-1),
      ArrowRight: () => players[current].skip(1),
      f: () => answer("first"),
      s: () => answer("second"),
      d: () => answer("tie"),
    },
  };
}
