// One look per form, which the server takes from the report: a colour and a mark, never the colour alone.

import { s } from "./dom.js";

// By name; a form may be called as anything that an object has by itself.
export const looks = (show) => Object.assign(Object.create(null), show?.looks);

const SHAPES = {
  circle: () => s("circle", { cx: 8, cy: 8, r: 6, class: "fill" }),
  ring: () => s("circle", { cx: 8, cy: 8, r: 5, class: "line" }),
  square: () => s("rect", { x: 2.5, y: 2.5, width: 11, height: 11, class: "fill" }),
  diamond: () => s("path", { d: "M8 1l7 7-7 7-7-7z", class: "fill" }),
  triangle: () => s("path", { d: "M8 1.5l7 12.5H1z", class: "fill" }),
  cross: () => s("path", { d: "M3 3l10 10M13 3L3 13", class: "line" }),
};

export const mark = (look) =>
  s("svg", { viewBox: "0 0 16 16", class: `mark c-${look.colour}`, "aria-hidden": "true" }, SHAPES[look.shape]());

// What a judgement looks like beside its word.
const WORDS = {
  on: ["ON", () => s("circle", { cx: 8, cy: 8, r: 6, class: "fill" })],
  "a bit off": ["A BIT OFF", () => s("path", { d: "M8 1.5l7 12.5H1z", class: "line" })],
  off: ["OFF", () => s("path", { d: "M2 2l12 12M14 2L2 14", class: "line" })],
  "no baseline": ["NO BASELINE", () => s("path", { d: "M2 8h12", class: "line" })],
};

export function judgement(word) {
  const [text, shape] = WORDS[word];
  const css = `judged j-${word.replaceAll(" ", "-")}`;
  return [css, text, s("svg", { viewBox: "0 0 16 16", class: "mark", "aria-hidden": "true" }, shape())];
}
