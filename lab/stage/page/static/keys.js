// Keys and clickers, wherever the focus is. The table is the show's own; `d` (light or dark) is the page's.

export function listen(keys, act) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key === "d") return theme();
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
