// The page without a show: it plays the records that are in it, beat by beat, in their own time.

import { painter } from "./draw.js";
import { listen } from "./keys.js";
import { apply, fresh } from "./state.js";

const LONGEST_MS = 20_000; // silence within a beat; a longer one is cut to this

const records = JSON.parse(document.getElementById("records").textContent);
const state = fresh();
const paint = painter(state);
const starts = records.flatMap((record, at) => (record.event === "BeatStarted" ? [at] : []));
let beat = -1;
let next = 0;
let timer = 0;

function show(record) {
  apply(state, record);
  paint(record.event);
}

const final = records.findIndex((record) => record.event === "ShowEnded");
const endOf = (at) => starts[at + 1] ?? (final < 0 ? records.length : final);

// One record after the other; `now`: without waiting.
function go(now = false) {
  clearTimeout(timer);
  while (next < endOf(beat)) {
    const wait = 1000 * (records[next].at_s - records[Math.max(next - 1, starts[beat] ?? 0)].at_s);
    if (!now && wait > 0) {
      timer = setTimeout(() => { show(records[next++]); go(); }, Math.min(wait, LONGEST_MS));
      return;
    }
    show(records[next++]);
  }
}

function jump(to) {
  if (to < 0 || to >= starts.length) return;
  beat = to;
  next = starts[to];
  go();
}

function act(action) {
  if (action.startsWith("jump ")) jump(Number(action.slice(5)) - 1);
  else if (action === "curtain") show({ event: "Curtain", data: { down: !state.curtain } });
  else if (action === "back") jump(state.ended ? beat : beat - 1);
  else if (action === "retry" || action === "recorded") jump(beat);
  else if (action === "skip") jump(beat + 1);
  else if (action === "next") {
    if (next < endOf(beat)) go(true);
    else if (beat + 1 < starts.length) jump(beat + 1);
    else if (final >= 0) show(records[final]);
  }
}

listen(JSON.parse(document.getElementById("keys").textContent), act, () => paint(""));
beat = 0;
for (const record of records.slice(0, starts[0] ?? records.length)) show(record);
jump(0);
