"""A run as a show: one request of each type in every form, the verdicts in words, the table of four pillars."""

from __future__ import annotations

from collections.abc import Iterator

from lab.model.summary import Summary
from lab.model.summary_form import Bar, Trace
from lab.stage.stream.events import (
    BeatCard,
    BeatEnded,
    BeatStarted,
    Pillar,
    PillarCell,
    RequestAnswered,
    RequestDone,
    RequestSent,
    ShowEnded,
    ShowStarted,
    Slide,
    SpanArrived,
    StageEvent,
    WantedSpan,
)
from lab.stage.stream.records import StageRecord

PILLARS = ("performance", "safety", "portability", "stability")
STRETCH = 150.0  # a request of 10 ms is drawn within 1.5 s
LONGEST_S = 6.0
Timed = tuple[float, StageEvent]


def records(summary: Summary) -> list[StageRecord]:
    """The run's records, as if it had been on stage."""
    types = list(dict.fromkeys(trace.type for trace in summary.traces))
    cards = [
        BeatCard(id=f"request-{kind}", title=f"The same {kind} request in every form", kind="request", budget_s=20)
        for kind in types
    ]
    cards.append(BeatCard(id="verdicts", title="What it costs", kind="slide", budget_s=30))
    cards.append(BeatCard(id="pillars", title="Four pillars", kind="pillar", budget_s=30))
    timed: list[Timed] = [(0.0, _started(summary, tuple(cards)))]
    for index, card in enumerate(cards):
        now = timed[-1][0] + 1.0
        shown = sorted(_beat(summary, card), key=lambda timed: timed[0])
        forms = tuple(dict.fromkeys(one.form for _, one in shown if isinstance(one, RequestSent)))
        timed.append((now, BeatStarted(beat=index, forms=forms)))
        timed += [(now + at_ms / 1000, event) for at_ms, event in shown]
        took = shown[-1][0] / 1000 if shown else 0.0
        timed.append((now + took, BeatEnded(beat=index, outcome="passed", seconds=round(took, 2))))
    timed.append((timed[-1][0], ShowEnded(seconds=round(timed[-1][0], 2), outcomes=("passed",) * len(cards))))
    return [StageRecord(seq=seq, at_s=round(at, 3), event=event) for seq, (at, event) in enumerate(timed, start=1)]


def _started(summary: Summary, cards: tuple[BeatCard, ...]) -> ShowStarted:
    return ShowStarted(
        title=summary.scenario_title or summary.scenario,
        beats=cards,
        slot_s=sum(card.budget_s for card in cards),
        forms=tuple(summary.forms),
        source="replay",
        machine=summary.run_id,
        mechanisms={name: form.mechanism for name, form in summary.forms.items()},
        clock="counted" if summary.clock == "counted" else "real",
    )


def _beat(summary: Summary, card: BeatCard) -> Iterator[Timed]:
    if card.kind == "request":
        traces = [trace for trace in summary.traces if f"request-{trace.type}" == card.id]
        longest = max((trace.request_ms for trace in traces), default=1.0)
        for trace in traces:
            yield from _request(trace, min(STRETCH, LONGEST_S * 1000 / max(longest, 0.1)))
    elif card.kind == "pillar":
        for at, name in enumerate(PILLARS):
            rows = [row for row in summary.pillars if row.pillar == name]
            cells = tuple(PillarCell(form=row.mechanism, words=row.measured, evidence=row.confidence) for row in rows)
            yield 1000.0 * at, Pillar(at_ms=1000.0 * at, pillar=name, cells=cells)  # type: ignore[arg-type]
    else:
        lines = [f"- **{line.form}**: {line.word}. {line.text}" for line in summary.lines if line.against == "baseline"]
        yield 0.0, Slide(at_ms=0.0, markdown="\n".join(["## What it costs", "", *lines]))


def _request(trace: Trace, stretch: float) -> Iterator[Timed]:
    """Spans arrive as they ended, slow enough to be watched."""
    wanted = tuple(WantedSpan(name=row.match, kind=row.kind, depth=row.depth) for row in trace.rows)
    yield 0.0, RequestSent(at_ms=0.0, form=trace.form, number=1, type=trace.type, wanted=wanted)
    end = trace.request_ms * stretch
    yield end, RequestAnswered(at_ms=end, form=trace.form, number=1, status=trace.status, latency_ms=trace.request_ms)
    spans: list[tuple[str, int, Bar]] = [
        (row.kind, index, span) for index, row in enumerate(trace.rows) for span in row.spans
    ]
    spans += [(extra.kind, -1, extra) for extra in trace.extra]
    last = end
    for at, (kind, index, span) in enumerate(spans):
        due = max(0.0, span.start_ms + span.duration_ms) * stretch
        last = max(last, due)
        yield due, SpanArrived(
            at_ms=due, form=trace.form, number=1, span=str(at), parent="", name=span.name, kind=kind.rpartition(" ")[2],
            service=span.service, start_ms=span.start_ms, duration_ms=span.duration_ms, row=index,
        )  # fmt: skip
    missing = tuple(row.match for row in trace.rows for _ in range(row.missing))
    orphans = sum(span.mark in {"root", "orphan"} for *_, span in spans)
    bare = not trace.received and not trace.extra
    yield last + 200, RequestDone(
        at_ms=last + 200, form=trace.form, number=1, wanted=0 if bare else trace.reference, seen=trace.received,
        missing=() if bare else missing, parents_missing=orphans,
    )  # fmt: skip
