// Records from the server, over one stream that comes back by itself: after a restart of the server, a sleep, a reload.

const AGAIN_MS = 400;

// Hands over the token of the address, once; the browser keeps a cookie instead. Why it was refused, or "".
async function enter() {
  const token = location.hash.slice(1);
  if (!token) return "";
  history.replaceState(null, "", location.pathname);
  return refusal("enter", { method: "POST", body: token });
}

// The server's words where it lets this page not in; "" where it does, or is away.
async function refusal(path, options) {
  const leave = new AbortController();
  try {
    const answer = await fetch(path, { ...options, credentials: "same-origin", signal: leave.signal });
    return answer.status === 403 ? (await answer.json()).error : "";
  } catch {
    return "";
  } finally {
    leave.abort(); // a stream that is open
  }
}

export async function connect({ record, start, link }) {
  // for good: it would be refused again and again; an address that is typed over this one begins anew
  const stay = (words) => {
    link(words);
    addEventListener("hashchange", () => location.reload());
  };
  const refused = await enter();
  if (refused) return stay(refused);
  let last = "";
  let over = false;
  const open = () => {
    const source = new EventSource(`events?after=${encodeURIComponent(last)}`);
    source.addEventListener("start", () => { start(); link(""); });
    source.onopen = () => link("");
    source.onmessage = (event) => {
      last = event.lastEventId;
      const told = JSON.parse(event.data);
      over = told.event === "ShowEnded";
      record(told);
    };
    source.onerror = async () => {
      const answered = source.readyState === EventSource.CLOSED; // with something that is no stream
      source.close();
      link(over ? "" : "waiting for the show …");
      const words = answered ? await refusal("events") : "";
      if (words) stay(words);
      else setTimeout(open, AGAIN_MS);
    };
  };
  open();
}

export const act = (action) =>
  fetch("act", { method: "POST", body: action, credentials: "same-origin" }).catch(() => null);
