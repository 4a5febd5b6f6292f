// Keys of the page. They can be turned off, for those whose speech or switch input sends single characters.

const SETTING = "toccata-keys";

function wanted() {
  try {
    return localStorage.getItem(SETTING) !== "off";
  } catch {
    return true;
  }
}

/** Let `actions()` of the view that is open answer to keys; "?" opens the help. */
export function listenToKeys(actions) {
  const help = document.getElementById("help");
  const box = document.getElementById("keys-on");
  box.checked = wanted();
  box.addEventListener("change", () => {
    try {
      localStorage.setItem(SETTING, box.checked ? "on" : "off");
    } catch {
      // kept for this page only
    }
  });
  document.getElementById("open-help").addEventListener("click", () => help.showModal());
  addEventListener("keydown", (event) => {
    if (!box.checked || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (document.querySelector("dialog[open]")) return;
    const target = event.target.closest?.("button, a, input") ?? null;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key === " " && (target?.tagName === "BUTTON" || target?.type === "checkbox")) return; // presses that
    if (key.startsWith("Arrow") && target?.type === "range") return; // moves that
    const action = key === "?" ? () => help.showModal() : actions()[key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
