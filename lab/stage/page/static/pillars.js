// The table of four pillars: it fills row by row, over all beats of the show.

import { h } from "./dom.js";
import { mark } from "./look.js";

const ROWS = ["performance", "safety", "portability", "stability"];

export function pillars(state, look) {
  const node = h("section", { class: "pillars" });
  let drawn = -1;
  function update({ pillars: known }) {
    const forms = [...new Set([...known.values()].flatMap((cells) => cells.map((cell) => cell.form)))];
    const key = [...known.keys()].join() + forms.join();
    if (key === drawn) return;
    drawn = key;
    const latest = [...known.keys()].at(-1);
    node.replaceChildren(h("table", null,
      h("thead", null, h("tr", null, h("th"), forms.map((form) => h("th", null, look[form] ? mark(look[form]) : null, form)))),
      h("tbody", null, ROWS.map((pillar) => h("tr", { class: known.has(pillar) ? (pillar === latest ? "latest" : "") : "empty" },
        h("th", null, pillar), forms.length ? forms.map((form) => cell(known.get(pillar)?.find((one) => one.form === form))) : h("td"))))));
  }
  return { node, update };
}

const cell = (one) => h("td", null, one ? [h("p", null, one.words), h("small", null, one.evidence)] : null);
