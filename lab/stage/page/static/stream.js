// Records from the server, over one stream that comes back by itself: after a restart of the server, a sleep, a reload.

const AGAIN_MS = 400;

// Hands over the token of the address, once; the browser keeps a cookie instead.
async function enter() {
  const token = location.hash.slice(1);
  if (!token) return;
  history.replaceState(null, "", location.pathname);
  await fetch("enter", { method: "POST", body: token, credentials: "same-origin" }).catch(() => null);
}

export async function connect({ record, start, link }) {
  await enter();
  let last = "";
  const open = () => {
    const source = new EventSource(`events?after=${encodeURIComponent(last)}`);
    source.addEventListener("start", () => { start(); link(""); });
    source.onopen = () => link("");
    source.onmessage = (event) => {
      last = event.lastEventId;
      record(JSON.parse(event.data));
    };
    source.onerror = () => {
      source.close();
      link("waiting for the show …");
      setTimeout(open, AGAIN_MS);
    };
  };
  open();
}

export const act = (action) =>
  fetch("act", { method: "POST", body: action, credentials: "same-origin" }).catch(() => null);
