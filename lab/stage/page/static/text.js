// What is read: slides, what a command printed, the woven diff, an agent that attaches.

import { amount, h, say, style } from "./dom.js";
import { mark } from "./look.js";
import { counts } from "./state.js";
import { waterfall } from "./waterfall.js";

const TAGS = new Set("h1 h2 h3 p ul ol li strong em code pre blockquote br hr s table thead tbody tr th td".split(" "));
const SHOWN = 17; // lines that fit
const DIFF = 12; // of the diffs' larger ones

export function card(title) {
  return { node: h("section", { class: "card" }, h("h2", null, title)), update() {} };
}

export function slide() {
  const node = h("section", { class: "slide" });
  let drawn = null;
  return { node, update({ beat }) {
    if (beat.slide === drawn) return;
    drawn = beat.slide;
    node.replaceChildren(...(drawn ?? []).map(built));
  } };
}

const built = (one) => (typeof one === "string" ? one : h(TAGS.has(one.t) ? one.t : "span", null, one.c.map(built)));

export const lines = () => printed((text) => text);

function printed(short) {
  const node = h("pre", { class: "lines" });
  let drawn = null;
  return { node, update({ beat }) {
    const shown = beat.lines.slice(-SHOWN);
    if (drawn === shown.at(-1) && node.childNodes.length === shown.length) return;
    drawn = shown.at(-1);
    node.replaceChildren(...shown.map((line) => h("span", { class: line.stream }, short(line.text).slice(0, 240))));
  } };
}

export function build(state, look) {
  const packages = printed((text) => text.replace(/^\S*\/(?=[^/\s]+\/[^/\s]+$)/, "…/")); // the end of a package's path
  const head = h("p", { class: "woven-head" });
  const diff = h("pre", { class: "diff" });
  const right = h("div", { class: "woven" }, head, diff);
  const node = h("section", { class: "build" }, packages.node, right);
  let drawn = 0;
  return { node, update(now) {
    packages.update(now);
    const { woven } = now.beat;
    if (woven.length === drawn) return;
    drawn = woven.length;
    node.classList.toggle("has-diff", woven.length > 0);
    const [first] = woven;
    if (first === undefined) return;
    head.replaceChildren(look[first.form] ? mark(look[first.form]) : "", h("b", null, `${first.lines || first.added} lines added`), ` in ${first.files} files`);
    const room = Math.max(Math.floor(DIFF / woven.length) - 1, 3); // each file has its part of what fits
    diff.replaceChildren(...woven.flatMap((one) => [h("span", { class: "of" }, `${one.file}: ${one.added} lines`), ...changes(one.diff, woven.length > 1).slice(0, room)]));
  } };
}

// alone: without what is around them.
const changes = (diff, alone) => diff.split("\n")
  .filter((text) => !/^(---|\+\+\+) /.test(text) && (!alone || /^[+-]/.test(text))) // the file is named above
  .map((text) => h("span", { class: cssOf(text) }, text.replaceAll("\t", "  ").slice(0, 160)));

const cssOf = (text) => (/^(\+\+\+|---|@@)/.test(text) ? "hunk" : text.startsWith("+") ? "plus" : text.startsWith("-") ? "minus" : "");

export function attach(state, look) {
  const fall = waterfall(state, look, true);
  const unit = counts(state) ? "simulated s" : "s";
  const [attached, first] = [h("b", null, "…"), h("b", null, "…")];
  const node = h("section", { class: "attach" },
    h("p", { class: "steps" }, h("span", null, "attached in ", attached), h("span", null, "first span after ", first)), fall.node);
  return { node, update(now) {
    const last = [...now.beat.attached.values()].at(-1);
    say(attached, last ? `${amount(last.attach_s)} ${unit}` : "…");
    say(first, last?.first_span_s !== null && last?.first_span_s !== undefined ? `${amount(last.first_span_s)} ${unit}` : "…");
    style(attached, "opacity", last ? "1" : "0.4");
    fall.update(now);
  } };
}
