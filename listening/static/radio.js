// Radio: one piece after another, and likes.

import { load } from "./api.js";
import { makePlayer } from "./player.js";
import { post } from "./outbox.js";
import { say } from "./messages.js";

const HEARD_S = 10; // or half of a shorter piece: then it counts as played
const ROUNDING_S = 0.01; // the length that the server tells is rounded
const GO_ON_S = 3; // from the end of a piece to the next one
const element = (id) => document.getElementById(id);

function uuid() {
  // crypto.randomUUID is missing where the page is not on localhost and has no TLS.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** Play the piece that the history entry names (after a reload, or back), else the server's next. */
export function openRadio(room, state, signal) {
  const like = element("like");
  let playing = null; // {piece, play, counted}: the same as in the history entry
  let timer = null;
  let asking = false; // for the next piece

  const player = makePlayer(element("radio-player"), "Radio", {
    started: () => clearTimeout(timer),
    heard: count,
    ended() {
      if (!element("play-on").checked) return;
      say(`The next piece begins in ${GO_ON_S} seconds.`);
      timer = setTimeout(() => next(true), GO_ON_S * 1000);
    },
  }, signal);
  player.select(true);

  function showLike() {
    const liked = room.session.likes.includes(playing?.piece.piece);
    const allowed = Boolean(playing) && (playing.counted || liked);
    like.disabled = !allowed;
    like.setAttribute("aria-pressed", String(liked));
    element("like-hint").textContent = allowed ? "" : "You can like a piece after 10 seconds, or half of a shorter one.";
  }

  function present(entry) {
    playing = entry;
    player.load(entry.piece);
    showLike();
  }

  async function send(name, path, body) {
    try {
      await post(name, path, body);
      return true;
    } catch (problem) {
      room.trouble(problem);
      return false;
    }
  }

  async function count(seconds) {
    if (!playing || playing.counted || seconds < Math.min(HEARD_S, playing.piece.seconds / 2) + ROUNDING_S) return;
    playing.counted = true;
    if (!signal.aborted) room.keep({ radio: playing });
    showLike();
    await send(`play/${playing.play}`, "/api/play", { id: playing.play, piece: playing.piece.piece, heard_seconds: seconds });
  }

  async function toggleLike() {
    if (like.disabled) return;
    const { piece } = playing.piece;
    const liked = !room.session.likes.includes(piece);
    const others = room.session.likes.filter((other) => other !== piece);
    room.session.likes = liked ? [...others, piece] : others;
    showLike();
    if (await send(`like/${piece}`, "/api/like", { piece, liked })) {
      say(liked ? "You like this piece." : "The like is taken back.");
    }
  }

  async function next(play) {
    if (asking) return; // a piece is on its way
    clearTimeout(timer);
    player.pause();
    say("");
    asking = true;
    let piece;
    try {
      piece = await load("/api/radio", signal);
    } catch (problem) {
      room.trouble(problem);
      return;
    } finally {
      asking = false;
    }
    if (signal.aborted) return;
    if (!piece) {
      say("There is no piece to play.");
      return;
    }
    const likes = room.session.likes.filter((other) => other !== piece.piece);
    room.session.likes = piece.liked ? [...likes, piece.piece] : likes;
    const entry = { piece, play: uuid(), counted: false };
    if (playing) history.pushState({ view: "radio", radio: entry }, "");
    else room.keep({ radio: entry });
    present(entry);
    if (play) player.play();
  }

  element("next").addEventListener("click", () => next(true), { signal });
  like.addEventListener("click", toggleLike, { signal });
  element("play-on").addEventListener("change", () => clearTimeout(timer), { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  showLike();
  if (state.radio) present(state.radio);
  else next(false);
  return {
    keys: {
      " ": player.toggle,
      1: player.play,
      ArrowLeft: () => player.skip(-1),
      ArrowRight: () => player.skip(1),
      l: toggleLike,
      n: () => next(true),
    },
  };
}
