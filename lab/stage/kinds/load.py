"""`load`: a duet: the same stream of requests into several forms at once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from lab.guest.wire.live import FormWindow, LiveEvent
from lab.model import live
from lab.model.key import key
from lab.stage.beat.readings import instructions, readings
from lab.stage.beat.scene import Scene
from lab.stage.kinds.kind import Around, Faults, Kind
from lab.stage.kinds.orders import followed
from lab.stage.stream import events

LEAST: Final = 2
MOST: Final = 4  # what the guest takes
SLACK: Final = 1.25  # times the first window's time must be left of the budget for a second one


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBeat(Kind):
    """Load two to four forms with the same stream of requests at once; latency, cost and spans tick every half second.

    One such moment already compares: every figure has its ratio to the twin or the baseline beside it.
    """

    GIVES = ("value", "inside")
    VALUES = ("latency_p50", "cpu_per_request", "rss", "spans", "errors")
    RATIOS = ("latency_p50", "cpu_per_request", "rss")
    SPANS = ("spans",)

    forms: tuple[str, ...] = key((), "Forms that are loaded, two to four; default: all of the show")
    load_s: float = key(20.0, "How long", low=0.5, high=3600)
    rate_rps: float = key(
        0.0, "Requests per second into each form; 0: the scenario's rate, shared", low=0, high=100_000
    )
    requests: int = key(
        120,
        "Requests into each form on a counted clock, instead of a time; `cpu_per_request` is in millions of"
        " instructions there, and latencies are simulated: they are shown and never judged",
        low=1,
        high=5_000_000,
    )

    @property
    def named_forms(self) -> tuple[str, ...]:
        return self.forms

    def faults(self, around: Around) -> Faults:
        found = []
        count = len(self.forms)
        if around.forms and not LEAST <= count <= MOST:
            found.append(("forms", f"two to four forms are loaded at once, not {count}: name so many here"))
        if self.load_s >= around.budget_s:
            late = f"{self.load_s:g} s of load do not end within budget_s, {around.budget_s:g} s"
            found.append(("load_s", f"{late}: give less, or a longer budget_s"))
        return found

    def play(self, scene: Scene) -> None:
        began_ms = scene.at_ms()
        values = self._measured(scene)
        took_s = (scene.at_ms() - began_ms) / 1000
        doubt = scene.doubt(values)
        if doubt is not None and scene.deadline.left_s() > SLACK * took_s:
            for value in values:
                scene.emit(_softened(scene.judged(value, {})))
            what = f"{doubt.title} of {doubt.form}"
            text = f"{what} is not as rehearsed: measured once more, to tell noise from a change"
            scene.emit(events.Remark(text=text, level="warning"))
            scene.again(values)
            values = self._measured(scene)
        for value in values:
            scene.emit(value)

    def _measured(self, scene: Scene) -> tuple[events.Value, ...]:
        """The values of one load. Where it fails they are shown all the same: the cause is looked for in them."""
        cast, scenario = scene.cast, scene.asked.scenario
        counted = cast.clock == "counted"
        usual = scenario.rate_rps["emulated" if cast.emulated else "native"]
        shared = (scenario.counted.rate_rps or usual) if counted else usual

        def give(forms: live.Cast) -> Iterator[LiveEvent]:
            return forms.load(
                self.forms,
                rate_rps=shared / len(self.forms) if counted or not self.rate_rps else self.rate_rps,
                seconds=None if counted else self.load_s,
                requests=self.requests if counted else None,
                seed=scene.asked.demo.seed,
            )

        so_far: dict[str, _SoFar] = defaultdict(_SoFar)
        try:
            for event in followed(scene, give):
                if isinstance(event, FormWindow):
                    scene.emit(_window(scene, event, so_far[event.form], counted=counted))
        except BaseException:
            for value in readings(scene.told, at_ms=scene.at_ms(), counted=counted):
                scene.emit(value)
            raise
        return readings(scene.told, at_ms=scene.at_ms(), counted=counted)


def _softened(told: events.StageEvent) -> events.StageEvent:
    """No value is called OFF before the second window."""
    return replace(told, judged="a bit off") if isinstance(told, events.Value) and told.judged == "off" else told


@dataclass(slots=True)
class _SoFar:
    """What one form has used since the beat began: a window of a slow load has too few requests to stand alone."""

    done: int = 0
    errors: int = 0
    cpu_s: Counter[str] = field(default_factory=Counter)


def _window(scene: Scene, told: FormWindow, so_far: _SoFar, *, counted: bool) -> events.Window:
    so_far.done += told.done
    so_far.errors += told.errors
    so_far.cpu_s.update(told.cpu_s)
    each_s = {role: used / so_far.done for role, used in so_far.cpu_s.items()} if so_far.done else {}
    return events.Window(
        at_ms=scene.at_ms(),
        form=told.form,
        number=told.window,
        rate_rps=round(told.done / told.seconds, 2) if told.seconds else 0.0,
        p50_ms=_ms(told.p50_ns),
        p99_ms=_ms(told.p99_ns),
        cpu_ms={} if counted else {role: round(used * 1000, 3) for role, used in each_s.items()},
        instructions={role: round(instructions(used), 4) for role, used in each_s.items()} if counted else {},
        done=so_far.done,
        spans_wanted=told.spans_wanted,
        spans_seen=told.spans_seen,
        errors=so_far.errors,
        late=told.late,
        draining=told.draining,
    )


def _ms(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e6
