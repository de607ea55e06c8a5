// From the state to the screen, at most once a frame, and only when a record came.

import { duet } from "./duet.js";
import { say, style } from "./dom.js";
import { h } from "./dom.js";
import { looks } from "./look.js";
import { pillars } from "./pillars.js";
import { counts, recorded } from "./state.js";
import { attach, build, card, lines, slide } from "./text.js";
import { strip } from "./values.js";
import { waterfall } from "./waterfall.js";

// kind of beat -> what it shows; each makes {node, update(state)}
const VIEWS = { request: waterfall, load: duet, build, attach, pillar: pillars, command: lines, slide, shell: lines };
const BARE = new Set(["slide", "pillar", "shell"]); // without the strip of values

export function painter(state) {
  const at = (id) => document.getElementById(id);
  const [main, foot] = [at("main"), at("foot")];
  let view = null;
  let values = null;
  let asked = false;

  function mount() {
    const { show, beat } = state;
    const look = looks(show);
    const kind = show?.beats[beat?.beat]?.kind;
    view = show === null ? card("") : beat === null || state.ended ? card(show.title) : (VIEWS[kind] ?? lines)(state, look);
    main.replaceChildren(view.node);
    document.body.className = `k-${state.ended || beat === null ? "card" : kind} ${BARE.has(kind) ? "bare" : ""}`;
    values = strip(look, at("values"), at("cause"));
  }

  function head() {
    const { show, beat } = state;
    say(at("kicker"), show === null || beat === null || state.ended ? "" : `${show.title} · ${beat.beat + 1} of ${show.beats.length}`
      + (counts(state) ? " · counts instructions" : "") + (show.source === "rehearsal" ? " · rehearsal" : ""));
    say(at("title"), state.ended ? "" : show?.beats[beat?.beat]?.title ?? "");
    const day = recorded(state);
    const stamp = at("stamp");
    stamp.hidden = day === "" || state.ended;
    if (day !== "") stamp.replaceChildren(h("b", null, "RECORDED"), h("span", null, day));
    document.body.classList.toggle("recorded", !stamp.hidden);
    progress(at("progress"), state);
    at("curtain").hidden = !state.curtain;
    document.title = show?.title ?? "lab";
  }

  function frame() {
    asked = false;
    if (view === null) mount();
    head();
    view.update(state);
    if (state.beat !== null) values.update(state.beat);
    style(foot, "visibility", state.ended || state.beat === null ? "hidden" : "visible");
  }

  return (event) => {
    if (event === "BeatStarted" || event === "ShowStarted" || event === "ShowEnded") view = null;
    if (asked) return;
    asked = true;
    requestAnimationFrame(frame);
  };
}

function progress(node, { show, beat, outcomes }) {
  const beats = show?.beats ?? [];
  while (node.children.length > beats.length) node.lastChild.remove();
  while (node.children.length < beats.length) node.append(h("li"));
  beats.forEach((_, at) => {
    const css = at === beat?.beat ? "now" : outcomes[at] ? "done" : "";
    if (node.children[at].className !== css) node.children[at].className = css;
  });
}
