// The table of four pillars: it fills row by row, over all beats of the show.

import { h, style } from "./dom.js";
import { mark } from "./look.js";

const SIZES = [1.8, 1.6, 1.5, 1.4, 1.3, 1.2, 1.1]; // of the words: the largest with which the table fits
const ROWS = ["performance", "safety", "portability", "stability"];

export function pillars(state, look) {
  const node = h("section", { class: "pillars" });
  let drawn = "";
  function update({ pillars: known }) {
    const forms = [...new Set([...known.values()].flatMap((cells) => cells.map((cell) => cell.form)))];
    const key = JSON.stringify([...known]);
    if (key === drawn) return;
    drawn = key;
    const latest = [...known.keys()].at(-1);
    node.replaceChildren(h("table", null,
      h("thead", null, h("tr", null, h("th"), forms.map((form) => h("th", null, look[form] ? mark(look[form]) : null, form)))),
      h("tbody", null, ROWS.map((pillar) => h("tr", { class: known.has(pillar) ? (pillar === latest ? "latest" : "") : "empty" },
        h("th", null, pillar), forms.length ? forms.map((form) => cell(known.get(pillar)?.find((one) => one.form === form))) : h("td"))))));
    for (const size of SIZES) {
      style(node, "--size", `${size}rem`);
      if (node.scrollHeight <= node.clientHeight) break;
    }
  }
  return { node, update };
}

const cell = (one) => h("td", null, one ? [h("p", null, one.words), h("small", null, one.evidence)] : null);
