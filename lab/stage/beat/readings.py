"""The values of a beat, read from the events of its orders: what the screen shows and the judge judges. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from lab.guest.wire.live import LiveEvent, LoadEnded, RequestEnded
from lab.model.machine import INSTRUCTION_NS
from lab.stage.beat.form_names import TWIN
from lab.stage.beat.signals import MEASURED
from lab.stage.stream.events import SIMULATED, Value

MILLION: Final = 1e6
UNCOMPARED: Final = ("spans", "errors", *SIMULATED.values())


def readings(
    events: Iterable[LiveEvent], *, at_ms: float, counted: bool = False, references: Sequence[str] = TWIN
) -> tuple[Value, ...]:
    """Of each form: what a load's requests cost and took, the spans of loads and single requests, and last, since it
    is usually none, how many of a load's requests failed: it is counted among them.

    counted: on a clock of instructions. CPU time is their number then, and a latency is simulated.
    """
    loads, requests = [], []
    for event in events:
        if isinstance(event, LoadEnded):
            loads.append(event)
        elif isinstance(event, RequestEnded):
            requests.append(event)
    values = [value for load in loads for value in _of_load(load, at_ms, counted=counted)]
    of_form: dict[str, list[RequestEnded]] = {}
    for request in requests:
        if request.expected or request.instrumented:
            of_form.setdefault(request.form, []).append(request)
    values += [value for form, some in of_form.items() for value in _of_requests(form, some, at_ms)]
    values += [_value("errors", "failed requests", float(load.errors), "errors", load.form, at_ms) for load in loads]
    return tuple(_with_ratio(value, values, references) for value in values)


def instructions(cpu_s: float) -> float:
    """Millions of instructions that CPU time on a counted clock stands for."""
    return cpu_s * 1e9 / INSTRUCTION_NS / MILLION


def _of_load(load: LoadEnded, at_ms: float, *, counted: bool) -> list[Value]:
    found = []
    if load.p50_ns is not None:
        unit = SIMULATED["ms"] if counted else "ms"
        found.append(_value("latency_p50", "median latency", load.p50_ns / 1e6, unit, load.form, at_ms))
    used = [load.cpu_s[role] for role in MEASURED if role in load.cpu_s]
    if used and load.done:
        cpu_s = sum(used) / load.done
        shown = (
            ("instructions per request", instructions(cpu_s), "million")
            if counted
            else ("CPU per request", cpu_s * 1000, "ms")
        )
        found.append(_value("cpu_per_request", *shown, load.form, at_ms))
    held = [load.rss_mib[role] for role in MEASURED if role in load.rss_mib]
    if held:
        found.append(_value("rss", "memory", sum(held), "MiB", load.form, at_ms))
    if load.spans_expected:
        found.append(_value("spans", "spans", float(load.spans_seen), "spans", load.form, at_ms))
    return found


def _of_requests(form: str, some: Sequence[RequestEnded], at_ms: float) -> list[Value]:
    """The fewest that one of them gave: a later one that is whole makes no earlier loss good."""
    seen = min(one.seen for one in some)
    placed = [one.seen - one.misplaced for one in some if one.misplaced is not None]
    fewest = "fewest " if len(some) > 1 else ""
    found = [_value("request_spans", f"{fewest}spans of one request", float(seen), "spans", form, at_ms)]
    if len(placed) == len(some):
        title = f"{fewest}spans below their parent"
        found.append(_value("spans_in_place", title, float(min(placed)), "spans", form, at_ms))
    return found


def _value(name: str, title: str, value: float, unit: str, form: str, at_ms: float) -> Value:
    return Value(at_ms=at_ms, name=name, title=title, value=value, unit=unit, form=form)


def _with_ratio(value: Value, all_values: Sequence[Value], references: Sequence[str]) -> Value:
    """Beside the twin's value of the same moment."""
    of = {other.form: other.value for other in all_values if other.name == value.name}
    twin = next((form for form in references if form in of), None)
    if twin is None or twin == value.form or not of[twin] or value.unit in UNCOMPARED:
        return value
    return replace(value, ratio=value.value / of[twin])
