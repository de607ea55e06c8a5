// The strip at the foot: each value against what the rehearsals gave, in a word and a mark; and one calm sentence.

import { amount, h, s, say } from "./dom.js";
import { judgement, mark } from "./look.js";

const COUNTS = new Set(["spans", "requests", "errors", "files", "lines", "probes", ""]); // "": an exit code
const MOST = 4; // cards that fit side by side; the worst stay when there are more

export function strip(look, node, cause) {
  const order = { off: 0, "a bit off": 1, on: 2, "no baseline": 3, "": 4 };
  let drawn = "";
  node.replaceChildren();
  return { update(beat) {
    say(cause, told(beat));
    const all = [...beat.values.values()];
    const key = all.map((one) => `${one.name}${one.form}${one.value}${one.judged}`).join();
    if (key === drawn) return;
    drawn = key;
    const rank = (one) => 4 * order[one.judged] + (look[one.form]?.plain ? 2 : 0) + (one.ratio === null ? 1 : 0);
    const kept = new Set(all.toSorted((a, b) => rank(a) - rank(b)).slice(0, MOST));
    const shown = all.filter((one) => kept.has(one));
    const more = all.length - shown.length;
    node.replaceChildren(...shown.map((one) => card(one, look)), more > 0 ? h("p", { class: "more" }, `and ${more} more`) : "");
  } };
}

// A value of an attempt before stands no more among the cards: it is named behind the sentence, which is whole where both do not fit.
function told({ cause, blamed, before }) {
  if (cause === null) return "";
  const value = before && blamed ? ` (${blamed.title}${blamed.form ? ` of ${blamed.form}` : ""} was ${amount(blamed.value)} ${blamed.unit})` : "";
  return cause.sentence + value;
}

function card(value, look) {
  const own = `${amount(value.value)} ${value.unit}`;
  const ratio = value.ratio === null || value.ratio === undefined ? "" : `${amount(value.ratio)} ×`;
  const judged = value.judged ? judgement(value.judged) : null;
  // The large figure is the one whose rehearsed interval stands below it.
  const large = ratio && (value.by_ratio || value.low === null || value.low === undefined);
  const by = large ? value.ratio / value.value : 1;
  const bare = value.judged === "no baseline"; // a long word, where there is no interval
  return h("div", { class: `value ${judged?.[0] ?? ""}` },
    h("p", { class: "what" }, look[value.form] ? mark(look[value.form]) : null, value.title, ratio ? h("small", null, large ? own : ratio) : null),
    h("p", { class: "big" }, large ? ratio : own),
    h("p", { class: "word" }, ...(judged && !bare ? [judged[2], judged[1]] : [])),
    value.low === null || value.high === null || value.low === undefined ? h("p", { class: "rehearsed" }, ...(bare ? [judged[2], judged[1]] : []))
      : h("p", { class: "rehearsed" }, ruler(value), `rehearsed ${between(value, by)}`));
}

// Of a count the whole numbers in it.
function between({ unit, low, high }, by) {
  const [from, to] = [Math.ceil(low), Math.floor(high)];
  if (COUNTS.has(unit) && by === 1 && from <= to) return from === to ? `${from}` : `${from} to ${to}`;
  return `${amount(by * low)} to ${amount(by * high)}`;
}

// The rehearsed interval as a band, what is usual as a line, today's value as a dot.
function ruler({ value, low, high, usual }) {
  const [from, to] = [Math.min(low, value), Math.max(high, value)];
  const wide = to - from || 1;
  const at = (x) => 6 + (88 * (x - from)) / wide;
  return s("svg", { viewBox: "0 0 100 12", class: "ruler", "aria-hidden": "true" },
    s("path", { d: "M2 6h96", class: "axis" }),
    s("rect", { x: at(low), y: 2, width: Math.max(at(high) - at(low), 1), height: 8, class: "band" }),
    usual === null || usual === undefined ? null : s("path", { d: `M${at(usual)} 1v10`, class: "usual" }),
    s("circle", { cx: at(value), cy: 6, r: 4.2, class: "dot" }));
}
