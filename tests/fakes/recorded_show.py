"""The records of a show with a beat of each kind, made by hand: what the views are looked at with."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

from lab.stage.stream.events import (
    AgentAttached,
    BeatCard,
    BeatEnded,
    BeatStarted,
    Cause,
    Health,
    Judgement,
    Line,
    Notes,
    Outcome,
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
    Value,
    WantedSpan,
    Window,
    Woven,
)
from lab.stage.stream.records import StageRecord

FORMS = ("baseline", "twin", "orchestrion-otel", "ebpf")
BEATS = (
    BeatCard(id="welcome", title="One service, four programs", kind="slide", budget_s=20, usual_s=14, cut=3),
    BeatCard(id="request", title="The same request in every form", kind="request", budget_s=20, usual_s=14, again=True),
    BeatCard(id="build", title="Build it in front of you", kind="build", budget_s=30, usual_s=21, cut=5),
    BeatCard(id="attach", title="Attach to a running program", kind="attach", budget_s=20, usual_s=14, again=True),
    BeatCard(id="duet", title="What it costs", kind="load", budget_s=40, usual_s=28, again=True),
    BeatCard(id="safety", title="Is it safe?", kind="pillar", budget_s=30, usual_s=21),
    BeatCard(id="stability", title="Will it still work next year?", kind="pillar", budget_s=30, usual_s=21, cut=5),
    BeatCard(id="kernel", title="What the kernel runs", kind="command", budget_s=15, usual_s=10.5, cut=8),
    BeatCard(id="questions", title="Your questions", kind="shell", budget_s=60, usual_s=42, cut=8),
)
# name, kind, depth, start and length in ms, and whether the agent sees it
CHECKOUT = (
    ("POST /checkout", "server", 0, 0.0, 8.9, True),
    ("GET /catalog/events/{id}", "client", 1, 0.4, 2.6, True),
    ("GET /catalog/events/{id}", "server", 2, 0.9, 1.8, True),
    ("SELECT", "client", 3, 1.4, 0.7, True),
    ("shop.Pricing/Quote", "client", 1, 3.2, 2.2, False),
    ("shop.Pricing/Quote", "server", 2, 3.9, 1.1, True),
    ("shop.Orders/Place", "client", 1, 5.6, 3.1, False),
    ("shop.Orders/Place", "server", 2, 6.2, 2.2, True),
    ("UPDATE", "client", 3, 6.6, 0.6, True),
    ("INSERT", "client", 3, 7.4, 0.7, False),
)
SLIDE = """# One service, four programs

The same Go source, **not one line** of telemetry in it.

- *baseline*: built as it is
- *orchestrion-otel*: woven while it compiles
- *ebpf*: watched from the kernel while it runs

| form | when | needs |
|---|---|---|
| compile time | `go build` | the source |
| run time | any time | root and a kernel |
"""
DIFF = """@@ -41,6 +41,11 @@ func (s *gateway) routes() http.Handler {
 \tmux := http.NewServeMux()
 \tmux.HandleFunc("POST /checkout", s.checkout)
-\treturn mux
+\t//line <generated>
+\treturn __orchestrion_otelhttp.NewHandler(mux, "gateway",
+\t\t__orchestrion_otelhttp.WithSpanNameFormatter(route))
 }
@@ -77,3 +82,5 @@ func dial(target string) (*grpc.ClientConn, error) {
 \treturn grpc.NewClient(target,
+\t\tgrpc.WithStatsHandler(__orchestrion_otelgrpc.NewClientHandler()),
 \t\tgrpc.WithTransportCredentials(insecure.NewCredentials()))
"""


def request(forms: Sequence[str], number: int = 1) -> Iterator[tuple[float, StageEvent]]:
    """One checkout in each form: its spans in the order in which they end, as exporters send them."""
    wanted = tuple(WantedSpan(name=name, kind=kind, depth=depth) for name, kind, depth, *_ in CHECKOUT)
    for index, form in enumerate(forms):
        slow = {"baseline": 1.0, "twin": 1.02, "orchestrion-otel": 1.12, "ebpf": 1.3}[form]
        at = 100.0 + 40 * index
        yield at, RequestSent(at_ms=at, form=form, number=number, type="checkout", wanted=wanted)
        answered = RequestAnswered(at_ms=at + 12, form=form, number=number, status=201, latency_ms=8.9 * slow)
        yield at + 12, answered
        if form in {"baseline", "twin"}:
            yield at + 300, RequestDone(at_ms=at + 300, form=form, number=number, wanted=0, seen=0)
            continue
        seen = [row for row, span in enumerate(CHECKOUT) if form != "ebpf" or span[5]]
        for turn, row in enumerate(sorted(seen, key=lambda row: CHECKOUT[row][3] + CHECKOUT[row][4])):
            name, kind, depth, start, length, _ = CHECKOUT[row]
            due = at + (250 if form == "ebpf" else 120) + 60 * turn
            yield due, SpanArrived(
                at_ms=due, form=form, number=number, span=f"{row:016x}", parent=f"{row - 1:016x}" if depth else "",
                name=name, kind=kind, service="shop", start_ms=start * slow, duration_ms=length * slow, row=row,
            )  # fmt: skip
        missing = tuple(CHECKOUT[row][0] for row in range(len(CHECKOUT)) if row not in seen)
        yield at + 1100, RequestDone(
            at_ms=at + 1100, form=form, number=number, wanted=len(CHECKOUT), seen=len(seen), missing=missing,
            parents_missing=2 if missing else 0,
        )  # fmt: skip


def windows(forms: Sequence[str], count: int, every_ms: float = 500.0) -> Iterator[tuple[float, StageEvent]]:
    """So many windows of a duet in each form."""
    costs = {"baseline": (0.31, 0.0), "twin": (0.31, 0.0), "orchestrion-otel": (0.42, 0.0), "ebpf": (0.33, 0.19)}
    for number in range(1, count + 1):
        at = number * every_ms
        for index, form in enumerate(forms):
            service, agent = costs[form]
            shake = 1 + 0.04 * math.sin(number * 1.7 + index * 2.1)
            wanted = 0 if form in {"baseline", "twin"} else number * 100
            yield at, Window(
                at_ms=at, form=form, number=number, rate_rps=20.0, p50_ms=(2.1 + 4 * service + agent) * shake,
                p99_ms=9.0 * shake, cpu_ms={"service": service * shake} | ({"agent": agent * shake} if agent else {}),
                spans_wanted=wanted, spans_seen=wanted - (number * 30 if form == "ebpf" else 0),
            )  # fmt: skip


def _value(at: float, form: str, value: float, ratio: float, judged: Judgement) -> Value:
    return Value(
        at_ms=at, name="cpu_per_request", title="CPU per request", value=value, unit="ms", form=form, ratio=ratio,
        judged=judged, low=value * 0.93, high=value * 1.05 if judged == "on" else value * 0.97, usual=value * 0.95,
        by_ratio=True,
    )  # fmt: skip


WOVEN = tuple(
    Woven(at_ms=1000, form="orchestrion-otel", file=f"internal/{file}", diff=DIFF, added=added, files=9, lines=260)
    for file, added in (("gateway/gateway.go", 214), ("store/store.go", 31), ("shop/main.go", 7))
)


def played(beat: BeatCard) -> Iterator[tuple[float, StageEvent]]:
    """What one beat shows, each event with its time within the beat in ms."""
    match beat.id:
        case "welcome":
            yield 10, Slide(at_ms=10, markdown=SLIDE)
        case "request":
            yield from sorted(request(FORMS), key=lambda pair: pair[0])
        case "build":
            for at, package in enumerate(("internal/store", "internal/gateway", "internal/pricing", "shop")):
                yield 200 * at, Line(at_ms=200 * at, text=f"example.org/shop/{package}")
            yield 900, Line(at_ms=900, text="note: 3 packages from the cache", stream="err")
            yield from ((1000, woven) for woven in WOVEN)
            yield 1001, Value(
                at_ms=1001, name="build_s", title="Build", value=4.2, unit="s", form="orchestrion-otel", judged="on",
                low=3.1, high=5.9, usual=4.4,
            )  # fmt: skip
        case "attach":
            yield 300, AgentAttached(at_ms=300, form="baseline", attach_s=1.24)
            for due, event in request(("ebpf",)):
                yield due + 400, dataclasses.replace(event, form="baseline")  # type: ignore[arg-type]
            yield 1600, AgentAttached(at_ms=1600, form="baseline", attach_s=1.24, first_span_s=0.41)
        case "duet":
            yield from windows(FORMS, 24)
            yield 12001, _value(12001, "orchestrion-otel", 0.42, 1.35, "on")
            yield 12002, _value(12002, "ebpf", 0.52, 1.68, "a bit off")
            yield 12003, Value(
                at_ms=12003, name="spans_lost", title="Spans lost", value=30, unit="%", form="ebpf", judged="off",
                low=18, high=24, usual=21,
            )  # fmt: skip
            yield 12400, Cause(
                at_ms=12400, name="noisy host", evidence="steal 14 % (0 to 2 in rehearsal), host /home/ada",
                sentence="The laptop was busy for a moment; the comparison still stands.", value="cpu_per_request",
            )  # fmt: skip
        case "safety":
            yield 200, Pillar(at_ms=200, pillar="performance", cells=_cells("+35 % CPU per request", "+68 % CPU"))
            yield 500, Pillar(at_ms=500, pillar="safety", cells=_cells("inside the program", "needs root"))
        case "stability":
            yield 200, Pillar(at_ms=200, pillar="portability", cells=_cells("any system that Go has", "Linux only"))
            yield 500, Pillar(at_ms=500, pillar="stability", cells=_cells("pinned in go.mod", "follows struct layouts"))
        case "kernel":
            yield 50, Line(at_ms=50, text="$ bpftool prog list")
            for at in range(12):
                yield 60 + at, Line(at_ms=60 + at, text=f"{40 + at}: kprobe  name uprobe_http_{at}  tag 9b1d<b>  gpl")
        case _:
            yield 5, Line(at_ms=5, text="$ uname -r")


def _cells(compile_time: str, run_time: str) -> tuple[PillarCell, ...]:
    return (
        PillarCell(form="orchestrion-otel", words=compile_time, evidence="14 blocks on 2026-11-20"),
        PillarCell(form="ebpf", words=run_time, evidence="14 blocks on 2026-11-20"),
    )


def shown(beat: BeatCard) -> tuple[str, ...]:
    """The forms that a beat shows."""
    return ("baseline",) if beat.kind == "attach" else FORMS if beat.kind in {"request", "load"} else ()


def records(recorded: Sequence[str] = ("duet",), beats: Sequence[BeatCard] = BEATS) -> list[StageRecord]:
    """The whole show; the beats named in `recorded` come from a take of 2026-11-20."""
    made: list[tuple[float, StageEvent]] = [
        (0.0, ShowStarted(
            title="Compile time or eBPF?", beats=tuple(beats), slot_s=480, cuts_min=(5.0, 3.0), forms=FORMS,
            source="live", machine="lab", began="2026-11-20T18:00:00+00:00",
        )),
        (0.0, Health(load=0.4, machine="up", battery=0.84, views=1)),
    ]  # fmt: skip
    now = 1.0
    for index, beat in enumerate(beats):
        made.append((now, Notes(beat=index, text=f"SECRET note of {beat.id}: breathe.", expects=("10 spans",))))
        day = "2026-11-20" if beat.id in recorded else ""
        made.append((now, BeatStarted(beat=index, recorded=day, forms=shown(beat))))
        last = 0.0
        for at_ms, event in played(beat):
            last = max(last, at_ms)
            made.append((now + at_ms / 1000, event))
        now += last / 1000 + 0.2
        outcome: Outcome = "recorded" if day else "passed"
        seconds, reason = round(last / 1000 + 0.2, 2), "" if outcome == "passed" else f"SECRET reason of {beat.id}"
        made.append((now, BeatEnded(beat=index, outcome=outcome, seconds=seconds, reason=reason)))
        now += 2
    made.append((now, ShowEnded(seconds=now, outcomes=("passed",) * len(beats))))
    return [StageRecord(seq=seq, at_s=round(at, 3), event=event) for seq, (at, event) in enumerate(made, start=1)]


def counted() -> list[StageRecord]:
    """The same show on a machine that counts instructions: costs are counts, times are simulated."""
    return [dataclasses.replace(record, event=_counted(record.event)) for record in records()]


def _counted(event: StageEvent) -> StageEvent:
    match event:
        case ShowStarted():
            return dataclasses.replace(event, clock="counted")
        case Window():
            each = {role: used * 5 for role, used in event.cpu_ms.items()}
            return dataclasses.replace(event, cpu_ms={}, instructions=each, done=event.number * 10)
        case Value(name="cpu_per_request"):
            return dataclasses.replace(event, title="instructions per request", unit="million")
    return event
