// Keys and clickers, wherever the focus is. The table is the show's own; `d` (light or dark) is the page's.

const MOST_DIGITS = 3;

// act: gets an action of the table, or "jump" with the number of a beat. moved: the colours or the size are others.
export function listen(keys, act, moved) {
  let typed = "";
  for (const change of ["resize", "fullscreenchange"]) addEventListener(change, moved);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", moved);
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (/^[0-9]$/.test(key)) {
      typed = (typed + key).slice(-MOST_DIGITS);
      return;
    }
    const number = typed;
    typed = "";
    if (key === "d") {
      theme();
      return moved();
    }
    if (key === "Enter" && number) {
      event.preventDefault();
      return act(`jump ${number}`);
    }
    const action = keys[key];
    if (action === undefined) return;
    event.preventDefault();
    if (event.repeat) return;
    if (action === "fullscreen") fullscreen();
    else act(action);
  });
}

function fullscreen() {
  const done = document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen();
  done.catch(() => null);
}

function theme() {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = (root.dataset.theme ?? (dark ? "dark" : "light")) === "dark" ? "light" : "dark";
}
