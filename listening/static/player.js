// A player of one piece: sound, play button, position and piano roll.

import { connection, clock } from "./messages.js";
import { load as loadJson, pause as wait } from "./api.js";
import { makeRoll } from "./roll.js";

const TRIES_OF_FORMAT = 3; // sound that arrives but does not play is not asked for for ever
const SKIP_S = 5; // of the arrow keys
const tabs = new BroadcastChannel("toccata-playing"); // one tab sounds at a time

function total(ranges) {
  let seconds = 0;
  for (let i = 0; i < ranges.length; i += 1) seconds += ranges.end(i) - ranges.start(i);
  return seconds;
}

/**
 * Put a player called `name` into `parent`. `heard(seconds)` is called as it plays with the seconds of the piece that
 * were heard (twice the same counts once), `started()` when it starts and `ended()` when it reaches the end.
 */
export function makePlayer(parent, name, { heard, started, ended }, signal) {
  parent.append(document.getElementById("player").content.cloneNode(true));
  const root = parent.lastElementChild;
  const find = (selector) => root.querySelector(selector);
  const [audio, button, position, time, problem] = ["audio", ".play", "input", ".clock", ".problem"].map(find);
  const roll = makeRoll(find("canvas"), signal);
  const piece = name.toLowerCase();
  root.setAttribute("aria-label", `${name} piece`);
  find("h2").textContent = name;
  find("canvas").setAttribute("aria-label", `Piano roll of the ${piece} piece, decorative`);
  position.setAttribute("aria-label", `Position in the ${piece} piece`);

  let loaded = null; // what is in the player: the piece as the server gave it
  let before = 0; // seconds heard before the sound had to be loaded again
  let failures = 0;
  let loading = null; // aborted when another piece is loaded

  function show() {
    const seconds = loaded?.seconds ?? 0;
    const at = Math.min(audio.currentTime, seconds);
    position.value = at;
    position.setAttribute("aria-valuetext", `${Math.floor(at)} of ${Math.floor(seconds)} seconds`);
    time.textContent = `${clock(at)} / ${clock(seconds)}`;
    const playing = !audio.paused && !audio.ended;
    root.classList.toggle("playing", playing);
    const words = `${playing ? "Pause" : "Play"} the ${piece} piece`;
    if (button.getAttribute("aria-label") !== words) button.setAttribute("aria-label", words);
  }

  function animate() {
    roll.draw(audio.currentTime);
    const moving = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (moving && !audio.paused && !signal.aborted) requestAnimationFrame(animate);
  }

  async function play() {
    if (!loaded) return;
    try {
      await audio.play();
    } catch (trouble) {
      if (trouble.name === "NotAllowedError") problem.textContent = "The browser wants you to press Play first.";
      // AbortError: paused, or another piece came; a sound that did not load raises the event "error"
    }
  }

  async function reload() {
    if (!audio.error || !loaded || signal.aborted) return;
    const { current, at } = { current: loading, at: audio.currentTime };
    const going = root.classList.contains("playing");
    before += total(audio.played);
    failures += 1;
    let reply = null;
    try {
      reply = await fetch(loaded.sound, { headers: { Range: "bytes=0-1" }, signal: current.signal });
    } catch {
      if (current.signal.aborted) return;
    }
    if (reply && (!reply.ok || failures >= TRIES_OF_FORMAT)) {
      connection(audio, "");
      problem.textContent = reply.ok ? "This browser cannot play this sound; another one may." : "The server has lost this sound.";
      show();
      return;
    }
    if (!reply) {
      failures = 0;
      connection(audio, "The sound did not arrive, trying again.");
    }
    await wait(reply ? 0.3 : 2);
    if (current.signal.aborted) return;
    audio.load();
    audio.currentTime = at;
    if (going) play();
  }

  const listen = (target, event, action) => target.addEventListener(event, action, { signal });
  listen(button, "click", () => toggle());
  listen(position, "input", () => {
    audio.currentTime = Number(position.value);
    roll.draw(audio.currentTime);
    show();
  });
  listen(audio, "play", () => {
    tabs.postMessage("playing");
    problem.textContent = "";
    started?.();
    show();
    animate();
  });
  listen(audio, "pause", show);
  listen(audio, "seeked", () => roll.draw(audio.currentTime));
  listen(audio, "timeupdate", () => {
    show();
    roll.draw(audio.currentTime);
    if (loaded) heard?.(before + total(audio.played));
  });
  listen(audio, "ended", () => {
    show();
    ended?.();
  });
  listen(audio, "canplay", () => {
    failures = 0;
    connection(audio, "");
  });
  listen(audio, "error", reload);
  listen(tabs, "message", () => audio.pause());
  signal.addEventListener("abort", () => {
    unload();
    root.remove();
  });

  function unload() {
    loading?.abort();
    loaded = null;
    connection(audio, "");
    audio.pause();
    audio.removeAttribute("src");
    audio.load();
  }

  function toggle() {
    if (audio.paused || audio.ended) play();
    else audio.pause();
  }

  return {
    play,
    toggle,
    pause: () => audio.pause(),
    focus: () => button.focus(),
    select: (current) => root.classList.toggle("current", current),
    skip(direction) {
      if (!loaded) return;
      audio.currentTime = Math.min(Math.max(audio.currentTime + direction * SKIP_S, 0), loaded.seconds);
      show();
    },
    /** Load a piece {sound, roll, seconds}; nothing plays yet. */
    load(newPiece) {
      unload();
      loading = new AbortController();
      loaded = newPiece;
      before = failures = 0;
      problem.textContent = "";
      position.max = newPiece.seconds;
      audio.src = newPiece.sound;
      roll.load([], newPiece.seconds);
      show();
      const { signal: current } = loading;
      loadJson(newPiece.roll, current).then(
        (data) => data && !current.aborted && roll.load(data.notes, data.seconds),
        () => {}, // a piece without its picture can be heard all the same
      );
    },
  };
}
