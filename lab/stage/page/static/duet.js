// Two to four forms on one request stream: latency as lines, and what each form costs and shows, as it comes.

import { amount, h, round, say, style } from "./dom.js";
import { mark } from "./look.js";
import { cost, counts } from "./state.js";

const ROLES = { service: "the service", agent: "the agent" };
const SPAN_MS = 20_000; // the least that the time axis shows
const [TIMED, COUNTED] = [
  { title: "Latency, median ", note: "ms, each half second", y: "ms", rate: "requests/s", cost: "CPU per request, ms" },
  { title: "Instructions per request ", note: "million, over the requests so far", y: "million", rate: "requests", cost: "instructions per request, million" },
];

export function duet(state, look) {
  const forms = state.beat.forms.length ? state.beat.forms : state.show.forms;
  const counted = counts(state);
  const words = counted ? COUNTED : TIMED;
  const canvas = h("canvas", { "aria-hidden": "true" });
  const ends = new Map(forms.map((form) => [form, h("span", { class: `end c-${look[form].colour}` })]));
  const top = h("span", { class: "tick top" });
  const wide = h("span", { class: "tick wide" });
  const chart = h("div", { class: "chart" }, canvas, top, wide, h("span", { class: "tick zero" }, "0"), [...ends.values()]);
  const rows = new Map(forms.map((form) => [form, row(form, look[form], counted)]));
  const node = h("section", { class: "duet" },
    h("h2", null, words.title, h("small", null, words.note)), chart,
    h("div", { class: "costs" },
      h("div", { class: "cost head" }, h("span", null, ""), h("span", null, words.rate), h("span", { class: "wide" }, words.cost), h("span", null, "spans seen of wanted")),
      [...rows.values()].map((one) => one.node)));
  const pen = canvas.getContext("2d");
  const scale = { y: 0, x: counted ? 1 : SPAN_MS, cost: 0 };

  function update({ beat }) {
    const { windows } = beat;
    const all = [...windows.values()];
    const latest = Math.max(0, ...all.map((mine) => (counted ? mine.last.done : mine.last.at_ms)));
    if (counted) scale.x = round(latest);
    else while (latest > scale.x) scale.x *= 1.5;
    scale.y = round(1.1 * Math.max(0, ...all.map((mine) => mine.highest)));
    scale.cost = round(1.05 * Math.max(0, ...all.map((mine) => cost(mine.last).all)));
    say(top, all.length ? `${amount(scale.y)} ${words.y}` : "");
    say(wide, counted ? `${scale.x} requests` : `${Math.round(scale.x / 1000)} s`);
    draw(windows);
    for (const [form, one] of rows) one.update(windows.get(form) ?? null, scale.cost);
  }

  function draw(windows) {
    const [w, hgt, ratio] = [canvas.clientWidth, canvas.clientHeight, devicePixelRatio];
    if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(hgt * ratio)) {
      [canvas.width, canvas.height] = [Math.round(w * ratio), Math.round(hgt * ratio)];
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, w, hgt);
    const css = getComputedStyle(canvas);
    const unit = parseFloat(css.fontSize);
    pen.strokeStyle = css.color;
    pen.lineWidth = 1;
    for (const part of [0, 0.5, 1]) stroke(pen, [[0, hgt - 1 - part * (hgt - 2)], [w, hgt - 1 - part * (hgt - 2)]]);
    const ys = [];
    for (const form of forms) {
      const points = windows.get(form)?.points ?? [];
      const path = points.filter((point) => point.y !== null).map((point) => [(w * point.at) / scale.x, hgt - (hgt * point.y) / (scale.y || 1)]);
      pen.strokeStyle = getComputedStyle(ends.get(form)).color;
      pen.lineWidth = unit * 0.16;
      pen.setLineDash(look[form].plain ? [unit * 0.35, unit * 0.25] : []);
      pen.lineJoin = "round";
      stroke(pen, path);
      pen.setLineDash([]);
      if (path.length) ys.push({ form, x: path.at(-1)[0], y: path.at(-1)[1], text: `${form} ${amount(points.findLast((point) => point.y !== null).y)}` });
    }
    direct(ys, unit, w, hgt);
  }

  // The name of each line stands at its end; none covers another.
  function direct(ys, unit, w, hgt) {
    ys.sort((a, b) => a.y - b.y);
    const step = unit * 1.5;
    ys.forEach((one, at) => { one.at = Math.max(one.y, at ? ys[at - 1].at + step : step / 2); });
    let limit = hgt - step / 2;
    for (const one of ys.toReversed()) {
      one.at = Math.min(one.at, limit);
      limit = one.at - step;
    }
    for (const { form, x, at, text } of ys) {
      const label = ends.get(form);
      say(label, text);
      style(label, "transform", `translate(${Math.min(x + unit * 0.5, w + unit * 0.5).toFixed(0)}px, ${(at - unit * 0.75).toFixed(0)}px)`);
    }
  }
  return { node, update };
}

function stroke(pen, path) {
  pen.beginPath();
  path.forEach(([x, y], at) => (at ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  pen.stroke();
}

function row(form, look, counted) {
  const rate = h("span", { class: "n" });
  const bars = h("span", { class: "stack" });
  const cpu = h("span", { class: "n" });
  const spans = h("span", { class: "n" });
  const meter = h("i");
  const came = h("span", { class: "spans" }, spans, h("span", { class: "meter" }, meter));
  const node = h("div", { class: `cost c-${look.colour}` }, h("span", { class: "form" }, mark(look), form), rate, bars, cpu, came);
  const parts = new Map();

  function update(mine, longest) {
    const last = mine?.last ?? null;
    const { roles, all } = cost(last);
    say(rate, last === null ? "–" : counted ? String(last.done) : mine.count ? amount(mine.rates / mine.count) : "–");
    for (const [role, ms] of roles) {
      if (!parts.has(role)) {
        parts.set(role, h("i", { class: `r-${role}` }, role === "service" ? null : h("b", null, ROLES[role] ?? role)));
        bars.append(parts.get(role));
      }
      style(parts.get(role), "width", `${((100 * ms) / (longest || 1)).toFixed(1)}%`);
    }
    say(cpu, roles.length ? amount(all) : "–"); // no role before the first answer
    const wanted = last?.spans_wanted ?? 0;
    const failed = last?.errors ?? 0;
    const seen = wanted ? `${last.spans_seen} of ${wanted}` : "–";
    if (failed) say(spans, look.plain ? `${failed} requests failed` : `${failed} failed, ${seen}`);
    else say(spans, look.plain ? "none, as it should be" : seen);
    style(meter, "width", `${wanted ? ((100 * Math.min(last.spans_seen, wanted)) / wanted).toFixed(1) : 0}%`);
    meter.parentNode.hidden = look.plain || failed > 0; // spans of requests that failed measure nothing
    came.classList.toggle("failed", failed > 0);
  }
  return { node, update };
}
