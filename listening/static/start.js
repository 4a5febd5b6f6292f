// The views before the music: consent, and the choice between pairs and radio.

import { clear } from "./outbox.js";
import { request, untilReached } from "./api.js";
import { counted, say } from "./messages.js";

const element = (id) => document.getElementById(id);
const LOST = "The connection is lost, trying again.";

/** Show the server's text; "I agree" makes the listener. */
export function openConsent(room, state, signal) {
  const paragraphs = room.session.consent_text.split(/\n\s*\n/).map((text) => {
    const paragraph = document.createElement("p");
    paragraph.textContent = text;
    return paragraph;
  });
  element("consent-text").replaceChildren(...paragraphs);
  const agree = async () => {
    element("agree").disabled = true;
    try {
      clear(); // what a listener of before left unsent is not of this one
      await untilReached("consent", LOST, () => request("/api/consent", {}), signal);
      say("");
      await room.restart();
    } catch (problem) {
      say(problem.message);
    } finally {
      element("agree").disabled = false;
    }
  };
  element("agree").addEventListener("click", agree, { signal });
  element("decline").addEventListener("click", () => {
    say("Nothing was saved. You can close this page, or agree later.");
  }, { signal });
  return {};
}

/** The choice of what to do, the counts so far, and the deletion of one's answers. */
export function openStart(room, state, signal) {
  const { votes, likes, modes, pieces } = room.session;
  element("choice-pairs").hidden = !modes.includes("pairs");
  element("choice-radio").hidden = !modes.includes("radio");
  element("counts").textContent = `${counted(pieces, "piece")} to hear.` +
    (votes || likes.length ? ` So far you gave ${counted(votes, "answer")} and ${counted(likes.length, "like")}.` : "");
  const dialog = element("withdraw");
  element("open-withdraw").addEventListener("click", () => {
    dialog.returnValue = "keep";
    dialog.showModal();
  }, { signal });
  dialog.addEventListener("close", async () => {
    if (dialog.returnValue !== "delete") return;
    try {
      clear();
      await untilReached("withdraw", LOST, () => request("/api/withdraw", {}), signal);
      await room.restart();
      say("Your answers are deleted.");
    } catch (problem) {
      room.trouble(problem);
    }
  }, { signal });
  return {};
}
