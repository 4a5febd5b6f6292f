// Words for the listener: a status line and a line about the connection, both read aloud by screen readers.

const troubles = new Map(); // by who has the trouble: what to say about it

/** Say `text` in the status line. */
export function say(text) {
  document.getElementById("status").textContent = text;
}

/** Show `text` about the connection until the same `owner` calls with "" (the first of several is shown). */
export function connection(owner, text) {
  if (text) troubles.set(owner, text);
  else troubles.delete(owner);
  const shown = troubles.get("unsent") ?? troubles.values().next().value ?? "";
  const line = document.getElementById("connection");
  if (line.textContent !== shown) line.textContent = shown;
}

/** `seconds` as m:ss. */
export function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** "1 answer", "2 answers". */
export function counted(number, word) {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}
