import { painter } from "./draw.js";
import { listen } from "./keys.js";
import { apply, fresh } from "./state.js";
import { act, connect } from "./stream.js";

const state = fresh();
const paint = painter(state);
listen(JSON.parse(document.getElementById("keys").textContent), act, () => paint(""));
connect({
  record(record) {
    apply(state, record);
    paint(record.event);
  },
  start() {
    Object.assign(state, fresh());
    paint("BeatStarted");
  },
  link(text) {
    const node = document.getElementById("link");
    node.textContent = text;
    node.hidden = text === "";
  },
});
