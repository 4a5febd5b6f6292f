"""The look of report.html and compare.html: one style sheet, one script, and the document around a body.

The page needs nothing else: its content security policy forbids every request, and every script but the one here.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

from toccata.agents.evaluation.report.text import safe

_DARK = """
  --ink: #e6eaef; --quiet: #a3adba; --line: #39424e; --paper: #14181d; --panel: #1c222a; --band: #2b4a37;
  --key: #191e25; --agent: #6db3f0; --reference: #f0a36b; --random: #bda4ea; --real: #7ccf98; --mark: #ff9d9d;
"""
STYLE = (
    f"""
:root {{
  color-scheme: light dark;
  --ink: #20262e; --quiet: #55606d; --line: #d9dfe6; --paper: #ffffff; --panel: #f5f7f9; --band: #cde6d3;
  --key: #eceff3; --agent: #1b68ab; --reference: #ad4e16; --random: #6f52a3; --real: #2a7545; --mark: #a12626;
  --group-0: var(--agent); --group-1: var(--reference); --group-2: var(--real); --group-3: var(--random);
  --group-4: var(--mark); --group-5: var(--quiet);
}}
@media screen and (prefers-color-scheme: dark) {{ :root {{{_DARK}}} }}
"""
    + """
* { box-sizing: border-box; }
html { background: var(--paper); -webkit-text-size-adjust: 100%; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 0 auto; padding: 1.5rem 1rem 4rem;
  color: var(--ink); overflow-wrap: anywhere; }
h1 { font-size: 1.8rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .6rem; padding-top: .6rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; } h4 { font-size: 1rem; margin: 0; }
p { margin: .5rem 0; max-width: 52rem; } ul { padding-left: 1.2rem; max-width: 52rem; } li { margin: .25rem 0; }
small, .quiet { color: var(--quiet); font-size: .85rem; }
a { color: var(--agent); } code, pre { font: .85rem/1.4 ui-monospace, monospace; }
pre { background: var(--panel); padding: .6rem .8rem; overflow-x: auto; white-space: pre-wrap; border-radius: 4px; }
svg { display: block; }
:focus-visible { outline: 2px solid var(--agent); outline-offset: 2px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; overflow-wrap: normal; }
td, th { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid var(--line); vertical-align: middle;
  white-space: nowrap; font-weight: inherit; }
thead th { font-weight: 600; vertical-align: bottom; }
th[scope=row], th:first-child { text-align: left; position: sticky; left: 0; background: var(--paper); z-index: 1; }
th[scope=row] { white-space: normal; min-width: 8.5rem; max-width: 11rem; }
td small, th small { display: block; line-height: 1.25; font-size: .78rem; }
th[scope=rowgroup] { font-weight: 600; padding-top: 1rem; }
.side { text-align: left; } td.outside { color: var(--mark); font-weight: 600; }
.settings td { text-align: left; white-space: normal; overflow-wrap: anywhere; min-width: 12rem; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: .6rem 0; font-size: .85rem; }
.legend span { display: inline-flex; align-items: center; gap: .4rem; }
.grid { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 32rem), 1fr)); }
.charts { grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); }
figure { margin: 0; min-width: 0; } figcaption { font-size: .85rem; }
.piece { background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: .8rem; min-width: 0; }
.piece audio { width: 100%; height: 2.4rem; margin: .5rem 0; }
.piece p { margin: .3rem 0; }
.roll { display: grid; margin-top: .6rem; grid-template-columns: 1.4rem 1fr; touch-action: pan-y; }
.keys, .sheet, .bars { position: relative; min-width: 0; } .bars { grid-column: 2; height: 1.1rem; }
.roll svg { width: 100%; height: 14rem; background: var(--paper); border: 1px solid var(--line); }
.roll .label { position: absolute; font-size: .68rem; line-height: 1; color: var(--quiet); pointer-events: none; }
.bars .label { top: .3rem; } .keys .label { left: 0; transform: translateY(-90%); }
.roll .cursor { position: absolute; top: 0; bottom: 0; width: 2px; background: var(--mark); display: none;
  pointer-events: none; }
.roll[role=slider] { cursor: pointer; } .roll[role=slider] .cursor { display: block; }
.notation svg { width: 100%; min-width: 34rem; height: auto; fill: currentColor; color: var(--ink); }
.notation path, .notation polygon, .notation polyline, .notation rect, .notation ellipse { stroke: currentColor; }
.notation text { stroke: none; }
.chart svg { width: 100%; height: auto; } .chart text { font-size: 10px; fill: var(--quiet); }
details { margin: .8rem 0; } summary { cursor: pointer; font-weight: 600; }
dt { font-weight: 600; } dd { margin: 0 0 .4rem; color: var(--quiet); max-width: 52rem; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
@media print {
  audio, .no-print, .roll .cursor { display: none !important; }
  body { font-size: 10pt; max-width: none; padding: 0; } .scroll { overflow: visible; }
  .grid { grid-template-columns: 1fr 1fr; } .charts { grid-template-columns: repeat(3, 1fr); }
  .piece, figure, tr { break-inside: avoid; } h2, h3 { break-after: avoid; }
  table { font-size: 6.5pt; } td, th { padding: .1rem .2rem; } td small, th small { font-size: 5.5pt; }
  td svg { width: 25mm; height: auto; } th[scope=row], th:first-child { position: static; }
  th[scope=row] { min-width: 0; max-width: 8rem; } .notation svg { min-width: 0; } .roll svg { height: 7rem; }
}
"""
)
SCRIPT = """
"use strict";
const players = [...document.querySelectorAll(".piece audio")];
for (const audio of players) {
  audio.addEventListener("play", () => players.forEach(other => other === audio || other.pause()));
  const roll = audio.closest(".piece").querySelector(".roll");
  if (!roll) continue;
  const cursor = roll.querySelector(".cursor"), sheet = roll.querySelector(".sheet");
  const axis = +roll.dataset.axis, end = +roll.dataset.end;
  const bar = +roll.dataset.bar;
  const show = () => {
    const now = Math.min(audio.currentTime, end);
    cursor.style.left = 100 * now / axis + "%";
    roll.setAttribute("aria-valuenow", now.toFixed(1));
    roll.setAttribute("aria-valuetext", `${now.toFixed(1)} seconds, bar ${Math.floor(now / bar + 1e-6) + 1}`);
  };
  const seek = seconds => { audio.currentTime = Math.max(0, Math.min(seconds, end)); show(); };
  const follow = () => { show(); if (!audio.paused) requestAnimationFrame(follow); };
  const to = event => {
    const box = sheet.getBoundingClientRect();
    seek((event.clientX - box.left) / box.width * axis);
  };
  const attributes = { role: "slider", tabindex: 0, "aria-label": "position in the piece", "aria-valuemin": 0,
    "aria-valuemax": end };
  for (const [name, value] of Object.entries(attributes)) roll.setAttribute(name, value);
  show();
  audio.addEventListener("play", follow);
  audio.addEventListener("seeked", show);
  audio.addEventListener("timeupdate", show);
  roll.addEventListener("pointerdown", event => { roll.setPointerCapture(event.pointerId); to(event); });
  roll.addEventListener("pointermove", event => { if (roll.hasPointerCapture(event.pointerId)) to(event); });
  roll.addEventListener("keydown", event => {
    const now = audio.currentTime;
    const places = { ArrowLeft: now - bar / 4, ArrowDown: now - bar / 4, ArrowRight: now + bar / 4,
      ArrowUp: now + bar / 4, PageDown: now - bar, PageUp: now + bar, Home: 0, End: end };
    if (event.key in places) seek(places[event.key]);
    else if (event.key === " ") audio.paused ? audio.play() : audio.pause();
    else return;
    event.preventDefault();
  });
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(each => { each.open = true; }));
"""


def document(title: str, body: str) -> bytes:
    """A whole page.

    Args:
        title: of the window, plain text.
        body: HTML.
    """
    digest = b64encode(sha256(SCRIPT.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<title>{safe(title)}</title><link rel="icon" href="data:,"><style>{STYLE}</style></head>\n'
        f"<body>\n{body}\n<script>{SCRIPT}</script></body></html>\n"
    )
    return page.encode("utf-8", "backslashreplace")


def scrolling(table: str, label: str) -> str:
    """A wide table in a box that scrolls by itself, also by keyboard."""
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{safe(label)}">{table}</div>'
