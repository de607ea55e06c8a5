// The same request in each form, side by side, on one clock. Every wanted span has its row, whether it came or not.

import { amount, h, say, style } from "./dom.js";
import { mark } from "./look.js";
import { counts, placed, rowsOf } from "./state.js";

const ROOM = 1.3; // times the longest bar, so that its figure has a place too

// attached: an agent watches even a form that is not instrumented.
export function waterfall(state, look, attached = false) {
  const forms = state.beat.forms.length ? state.beat.forms : state.show.forms;
  const bare = attached ? [] : forms.filter((form) => look[form].plain);
  const made = forms.filter((form) => !bare.includes(form));
  const names = h("div", { class: "names" });
  const aside = bare.length ? h("div", { class: "column plain" }, h("h2", null, "not instrumented"), h("p", { class: "count" }, "none")) : null;
  const requests = new Map();
  for (const form of bare) {
    const bar = h("i", { class: "bar request" });
    const text = h("span", { class: "ms" });
    aside.append(h("div", { class: "one" }, h("p", null, mark(look[form]), form), h("div", { class: `lane c-${look[form].colour}` }, bar, text)));
    requests.set(form, { bar, text });
  }
  const columns = made.map((form) => column(form, look[form]));
  for (const one of columns) requests.set(one.form, one);
  const node = h("section", { class: "waterfall" }, names, aside, columns.map((one) => one.node));
  style(node, "grid-template-columns", `minmax(0, 21.5rem) ${bare.length ? "minmax(0, 12rem)" : ""} repeat(${Math.max(made.length, 1)}, minmax(0, 1fr))`);

  const whole = counts(state) ? "request, simulated" : "the whole request";
  let drawn = "";
  function update({ beat }) {
    const request = beat.request ?? { type: "", rows: [], forms: new Map() };
    const rows = rowsOf(request);
    const key = rows.map((row) => `${row.depth}${row.kind}${row.name}`).join("\n") + request.type;
    if (key !== drawn) {
      drawn = key;
      style(node, "--rows", String(Math.max(rows.length, 4) + 1));
      style(node, "--lanes", String(Math.max(rows.length, 4)));
      names.replaceChildren(h("h2", null, request.type), h("p", { class: "count" }, "spans seen"), label({ name: whole, depth: 0, kind: "ms" }), ...rows.map(label));
      for (const one of columns) one.layout(rows.length);
    }
    const ends = [...request.forms.values()].flatMap((mine) => [mine.latency ?? 0, ...mine.spans.map((span) => span.start_ms + span.duration_ms)]);
    const longest = ROOM * Math.max(1, ...ends);
    for (const [form, { bar, text }] of requests) {
      const latency = request.forms.get(form)?.latency ?? null;
      place(bar, 0, latency === null ? 0 : latency / longest);
      figure(text, latency === null ? "" : amount(latency), (latency ?? 0) / longest);
    }
    for (const one of columns) one.update(rows, request.rows, request.forms.get(one.form), longest);
  }
  return { node, update };
}

function label({ name, kind, depth }) {
  const made = h("p", { class: "row" }, h("span", { class: "name" }, short(name)), kind ? h("span", { class: "kind" }, kind.split(/[- ]/).at(-1)) : null);
  style(made, "--depth", String(depth));
  return made;
}

// pkg.Service/Method: the package says little in a narrow column.
const short = (name) => (/^[\w.]+\.\w+\/\w+$/.test(name) ? name.replace(/^.*\.(?=\w+\/)/, "") : name);

function column(form, look) {
  const count = h("p", { class: "count" }, "…");
  const bar = h("i", { class: "bar request" });
  const text = h("span", { class: "ms" });
  const lanes = h("div", { class: "lanes" });
  const node = h("div", { class: `column c-${look.colour}` }, h("h2", null, mark(look), form), count, h("div", { class: "row lane" }, bar, text), lanes);
  let mine = [];

  function layout(rows) {
    mine = Array.from({ length: rows }, () => ({ lane: h("div", { class: "row lane" }), bars: [], text: h("span", { class: "ms" }) }));
    mine.forEach((one) => one.lane.append(one.text));
    lanes.replaceChildren(...mine.map((one) => one.lane));
  }

  function update(rows, known, got, longest) {
    const spans = got ? placed(rows, known, got) : rows.map(() => []);
    const done = got?.done ?? null;
    say(count, counted(got));
    spans.forEach((here, at) => {
      const row = mine[at];
      const gone = done !== null && here.length === 0 && at < (known.length || rows.length);
      row.lane.classList.toggle("missing", gone);
      while (row.bars.length < here.length) {
        row.bars.push(h("i", { class: "bar" }));
        row.lane.prepend(row.bars.at(-1));
      }
      while (row.bars.length > here.length) row.bars.pop().remove(); // of an earlier request, or of a span that is elsewhere now
      here.forEach((span, nth) => {
        const css = `bar ${span.kind === "client" ? "client" : "server"} ${span.error ? "error" : ""}`;
        if (row.bars[nth].className !== css) row.bars[nth].className = css;
        place(row.bars[nth], span.start_ms / longest, span.duration_ms / longest);
      });
      const last = here.at(-1);
      const took = here.reduce((sum, span) => sum + span.duration_ms, 0);
      const many = here.length > 1 ? `${here.length} × ` : "";
      const text = gone ? "missing" : last ? `${many}${amount(took / here.length)}` : "";
      figure(row.text, text, last ? (last.start_ms + last.duration_ms) / longest : 0);
    });
  }
  return { form, node, bar, text, layout, update };
}

function counted(got) {
  if (!got) return "…";
  const { done, spans } = got;
  if (done === null) return spans.length ? `${spans.length}` : got.latency === null ? "…" : "answered";
  if (done.wanted === 0 && done.seen === 0) return "none";
  const lost = done.parents_missing ? `, ${done.parents_missing} orphan${done.parents_missing > 1 ? "s" : ""}` : "";
  return `${done.seen} of ${done.wanted}${lost}`;
}

function place(bar, from, width) {
  style(bar, "left", `${(100 * Math.max(0, from)).toFixed(2)}%`);
  style(bar, "width", `${(100 * Math.min(width, 1)).toFixed(2)}%`);
}

// The figure stands right of its bar.
function figure(node, text, end) {
  say(node, text);
  style(node, "left", `${(100 * end).toFixed(2)}%`);
}
