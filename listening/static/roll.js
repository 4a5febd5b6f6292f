// A piano roll on a canvas: the notes scroll from right to left under a fixed playhead.

const PLAYHEAD = 0.3; // of the width
const PIXELS_A_SECOND = 95;
const SMALLEST_RANGE = 25; // keys: two octaves, so that few notes do not fill the height
const WIDEST = [21, 108]; // MIDI pitches of the 88 keys
const BLACK = new Set([1, 3, 6, 8, 10]); // pitch classes
const still = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");

/** Lowest and highest pitch to show: what sounds and two keys more on both sides. */
function pitchRange(notes) {
  if (!notes.length) return [48, 48 + SMALLEST_RANGE - 1];
  const pitches = notes.map((note) => note[2]);
  let low = Math.min(...pitches) - 2;
  let high = Math.max(...pitches) + 2;
  const missing = SMALLEST_RANGE - (high - low + 1);
  if (missing > 0) {
    low -= Math.floor(missing / 2);
    high += Math.ceil(missing / 2);
  }
  return [Math.max(low, WIDEST[0]), Math.min(high, WIDEST[1])];
}

/**
 * The roll on `canvas`: `load(notes, seconds)` with notes [onset_s, duration_s, pitch, velocity], `draw(time)` in s.
 *
 * Where the system asks for reduced motion nothing scrolls: the whole piece is shown, and the playhead stands in it.
 */
export function makeRoll(canvas, signal) {
  const context = canvas.getContext("2d");
  let notes = [];
  let length = 1;
  let range = pitchRange(notes);
  let shown = 0;
  let colours = readColours();

  function readColours() {
    const style = getComputedStyle(document.documentElement);
    const named = (name) => style.getPropertyValue(name).trim();
    return { ground: named("--ground"), black: named("--black-key"), note: named("--note"),
      sounding: named("--sounding"), playhead: named("--ink") };
  }

  function draw(time) {
    shown = time;
    const scale = devicePixelRatio || 1;
    const width = canvas.width / scale;
    const height = canvas.height / scale;
    const span = still.matches ? length : width / PIXELS_A_SECOND;
    const start = still.matches ? 0 : time - PLAYHEAD * span;
    const x = (at) => ((at - start) / span) * width;
    const [low, high] = range;
    const row = height / (high - low + 1);
    const y = (pitch) => (high - pitch) * row;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.globalAlpha = 1;
    context.fillStyle = colours.ground;
    context.fillRect(0, 0, width, height);
    context.fillStyle = colours.black;
    for (let pitch = low; pitch <= high; pitch += 1) {
      if (BLACK.has(pitch % 12)) context.fillRect(0, y(pitch), width, row);
    }
    for (const [onset, duration, pitch, velocity] of notes) {
      if (onset > start + span || onset + duration < start) continue;
      const sounding = onset <= time && time < onset + duration && time > 0;
      context.globalAlpha = 0.3 + 0.7 * (velocity / 127);
      context.fillStyle = sounding ? colours.sounding : colours.note;
      const long = Math.max((duration / span) * width - 1, 2);
      context.beginPath();
      context.roundRect(x(onset), y(pitch) + 0.5, long, Math.max(row - 1, 1.5), Math.min(3, row / 3));
      context.fill();
    }
    context.globalAlpha = 0.7;
    context.fillStyle = colours.playhead;
    context.fillRect(x(time) - 0.75, 0, 1.5, height);
  }

  const resized = new ResizeObserver(() => {
    const scale = devicePixelRatio || 1;
    canvas.width = Math.round(canvas.clientWidth * scale);
    canvas.height = Math.round(canvas.clientHeight * scale);
    draw(shown);
  });
  resized.observe(canvas);
  signal.addEventListener("abort", () => resized.disconnect());
  const recolour = () => {
    colours = readColours();
    draw(shown);
  };
  dark.addEventListener("change", recolour, { signal });
  still.addEventListener("change", recolour, { signal });

  return {
    draw,
    load(newNotes, seconds) {
      notes = newNotes;
      length = Math.max(seconds, 0.1);
      range = pitchRange(notes);
      draw(0);
    },
  };
}
