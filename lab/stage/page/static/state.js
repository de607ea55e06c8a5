// What the page knows: records in, plain data out. Pure, and bounded however long the show is.

const LINES = 200;
const POINTS = 240; // windows of a form that a chart can show; older ones are merged two by two
const FILES = 12;
const COSTS = ["service", "agent"];

export function fresh() {
  return { show: null, beat: null, outcomes: [], pillars: new Map(), curtain: false, ended: false };
}

function beatOf(data) {
  return {
    ...data, request: null, windows: new Map(), values: new Map(), lines: [], woven: [], attached: new Map(),
    slide: null, cause: null, blamed: null, before: true, outcome: "",
  };
}

function requestIn(beat, data) {
  if (beat.request === null || data.number > beat.request.number) {
    beat.request = { number: data.number, type: "", rows: [], forms: new Map() };
  }
  if (data.number < beat.request.number) return null; // a late one of an earlier request
  const { forms } = beat.request;
  if (!forms.has(data.form)) forms.set(data.form, { latency: null, status: null, spans: [], done: null });
  return forms.get(data.form);
}

// Two neighbours become one point, so that hours of load take no more memory than minutes.
function merged(points) {
  const half = [];
  for (let at = 0; at + 1 < points.length; at += 2) {
    const [a, b] = [points[at], points[at + 1]];
    half.push({ at: (a.at + b.at) / 2, y: a.y === null || b.y === null ? (a.y ?? b.y) : (a.y + b.y) / 2 });
  }
  return half;
}

// Cost per request of a form over the beat so far, by role: CPU in ms, or millions of instructions on a counted clock.
// What the lab itself uses (sink, load) is no cost of it.
export function cost(window) {
  const costs = { ...window?.cpu_ms, ...window?.instructions };
  const roles = COSTS.filter((role) => role in costs).map((role) => [role, costs[role]]);
  return { roles, all: roles.reduce((sum, [, used]) => sum + used, 0) };
}

const series = () => ({ points: [], last: null, every: 1, skipped: 0, highest: 0, count: 0, rates: 0 });

const HANDLERS = {
  ShowStarted(state, data) {
    Object.assign(state, fresh(), { show: data, outcomes: data.beats.map(() => "") });
  },
  BeatStarted(state, data) {
    const last = state.beat;
    state.beat = beatOf(data);
    state.ended = false; // an exported page goes back from its end
    // what an attempt found is told until one passes: the next begins, or the take, within milliseconds
    if (last?.beat === data.beat && last.outcome !== "passed") Object.assign(state.beat, { cause: last.cause, blamed: last.blamed });
  },
  BeatEnded(state, data) {
    state.outcomes[data.beat] = data.outcome;
    if (state.beat?.beat !== data.beat) return;
    state.beat.outcome = data.outcome;
    if (data.outcome === "passed" && state.beat.before) Object.assign(state.beat, { cause: null, blamed: null });
  },
  Curtain(state, data) {
    state.curtain = data.down;
  },
  ShowEnded(state) {
    state.ended = true;
  },
  Pillar(state, data) {
    state.pillars.delete(data.pillar); // the latest stands last
    state.pillars.set(data.pillar, data.cells);
  },
};

const WITHIN = {
  RequestSent(beat, data) {
    if (requestIn(beat, data) === null) return;
    beat.request.type = data.type;
    if (data.wanted?.length) beat.request.rows = data.wanted;
  },
  RequestAnswered(beat, data) {
    const mine = requestIn(beat, data);
    if (mine) Object.assign(mine, { latency: data.latency_ms, status: data.status });
  },
  SpanArrived(beat, data) {
    requestIn(beat, data)?.spans.push(data);
  },
  RequestDone(beat, data) {
    const mine = requestIn(beat, data);
    if (mine) mine.done = data;
  },
  // A point is the latency at a time; on a counted clock the cost so far after so many requests.
  Window(beat, data, counted) {
    if (!beat.windows.has(data.form)) beat.windows.set(data.form, series());
    let mine = beat.windows.get(data.form);
    if (mine.last !== null && data.number <= mine.last.number) beat.windows.set(data.form, mine = series()); // it is measured once more
    mine.last = data;
    // the rate is a mean of the beat so far: one window of a slow load has too few requests to show alone
    if (!data.draining) {
      mine.count += 1;
      mine.rates += data.rate_rps;
    }
    const point = counted ? { at: data.done, y: cost(data).all || null } : { at: data.at_ms, y: data.p50_ms };
    mine.highest = Math.max(mine.highest, point.y ?? 0);
    if (++mine.skipped < mine.every) return;
    mine.skipped = 0;
    mine.points.push(point);
    if (mine.points.length >= POINTS) {
      mine.points = merged(mine.points);
      mine.every *= 2;
    }
  },
  Value(beat, data) {
    beat.values.set(`${data.name} ${data.form}`, data);
  },
  Line(beat, data) {
    beat.lines.push(data);
    if (beat.lines.length > 2 * LINES) beat.lines = beat.lines.slice(-LINES);
  },
  Woven(beat, data) {
    if (beat.woven.length < FILES) beat.woven.push(data);
  },
  AgentAttached(beat, data) {
    beat.attached.set(data.form, data);
  },
  Slide(beat, data) {
    beat.slide = data.nodes;
  },
  // The likeliest comes first, and is the one that is told. before: it was found in an earlier attempt.
  Cause(beat, data) {
    if (!beat.before) return;
    const named = [...beat.values.values()].filter((value) => value.name === data.value && (!data.form || value.form === data.form));
    const blamed = named.find((value) => value.judged === "off") ?? named.find((value) => value.judged === "a bit off") ?? null;
    Object.assign(beat, { cause: data, blamed, before: false });
  },
};

export function apply(state, record) {
  HANDLERS[record.event]?.(state, record.data);
  if (state.beat !== null) WITHIN[record.event]?.(state.beat, record.data, counts(state));
}

// Whether the clock of the machine that the beat is of counts instructions: then no time is shown as a time.
export const counts = ({ show, beat }) => (beat?.clock || show?.clock) === "counted";

// The day of the recording that is shown now; "" when it is live.
export function recorded(state) {
  if (state.beat === null) return "";
  return state.beat.recorded || (state.show?.source === "replay" ? "an earlier show" : "");
}

// The rows of a request's waterfall. Where the reference is known they stand before the first span comes; what no row
// of it takes gets one of its own below, once the request is done.
export function rowsOf(request) {
  const rows = request.rows.map((row) => ({ ...row }));
  const more = new Map();
  for (const mine of request.forms.values()) {
    if (rows.length > 0 && mine.done === null) continue;
    for (const [span, key] of strangers(request.rows, mine)) {
      if (!more.has(key)) more.set(key, { name: span.name, kind: span.kind, depth: depth(span, mine.spans), key, start: span.start_ms });
    }
    if (rows.length > 0) continue;
    for (const name of mine.done?.missing ?? []) {
      if (![...more.values()].some((row) => row.name === name)) more.set(name, { name, kind: "", depth: 0, key: name, start: Infinity });
    }
  }
  return [...rows, ...[...more.values()].sort((a, b) => a.start - b.start)];
}

function depth(span, spans) {
  let found = 0;
  for (let at = span; found < 12; found += 1) {
    at = spans.find((other) => other.span === at.parent);
    if (at === undefined) break;
  }
  return found;
}

// Spans that stand in no row of the reference, each with the key of its own row: the nth of its name and kind.
function strangers(rows, mine) {
  const nth = new Map();
  return mine.spans.filter((span) => rowOf(span, rows, mine) < 0).map((span) => {
    const key = `${span.name}|${span.kind}`;
    nth.set(key, (nth.get(key) ?? 0) + 1);
    return [span, `${key}|${nth.get(key)}`];
  });
}

const rowOf = (span, rows, mine) => (rows.length === 0 ? -1 : mine.done?.rows?.[span.span] ?? span.row);

// Which spans of one form stand in each row. Before a request is done, a span whose row is in doubt takes the first free
// one that it may be.
export function placed(rows, known, mine) {
  const found = rows.map(() => []);
  for (const span of mine.spans) {
    const at = rowOf(span, known, mine);
    if (at >= 0 && at < rows.length) found[at].push(span);
  }
  for (const [span, key] of strangers(known, mine)) {
    let at = rows.findIndex((row) => row.key === key);
    if (at < 0 && mine.done === null) at = rows.findIndex((row, nth) => found[nth].length === 0 && alike(row, span));
    if (at >= 0) found[at].push(span);
  }
  return found;
}

const lastWord = (kind) => kind.split(/[- ]/).at(-1); // "http server": the family is the name's

const alike = (row, span) => lastWord(row.kind) === lastWord(span.kind) && (row.name.includes(span.name) || span.name.includes(row.name));
