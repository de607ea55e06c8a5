"""The demo: machine, forms, run, results, report; skips what is done and resumes after a kill.

The tuple `DEMO` lists the stages: each takes the value that the one before returns; a failure is an exception.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from lab.flows import levels, resume, stages
from lab.flows.report import Reported
from lab.flows.request import DemoRequest
from lab.flows.stages import Work
from lab.model.lab import Lab


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoStage:
    """`act` returns the next value, which `name` describes."""

    name: str
    act: Callable[[Work, Any], Any]


DEPLOYED: Final[tuple[DemoStage, ...]] = (
    DemoStage(name="machine and artifacts", act=stages.machine_and_artifacts),
    DemoStage(name="deployed", act=stages.deploy),
)
RUN: Final[tuple[DemoStage, ...]] = (
    DemoStage(name="started", act=stages.start),
    DemoStage(name="followed", act=stages.follow),
    DemoStage(name="fetched", act=stages.bring),
)
DEMO: Final[tuple[DemoStage, ...]] = (
    *DEPLOYED,
    DemoStage(name="levels known", act=levels.find),
    DemoStage(name="planned", act=stages.plan),
    *RUN,
    DemoStage(name="sealed", act=stages.seal),
    DemoStage(name="reported", act=stages.tell),
)


def demo(lab: Lab, asked: DemoRequest) -> Reported:
    """Run all stages. Raises LabError subclasses; an interrupted run is found by its plan and resumed."""
    reported: Reported = run(lab, DEMO, asked)
    return reported


def run(lab: Lab, way: tuple[DemoStage, ...], value: Any) -> Any:
    """Run every stage in order; returns the last one's value."""
    resume.writable(lab)  # fail now, rather than after minutes of work
    recorder = resume.RunRecorder()
    lab.bus.add(recorder)
    with ExitStack() as held, ExitStack() as open_:
        work = Work(lab=lab, recorder=recorder, open=open_, held=held)
        for stage in way:
            value = stage.act(work, value)
    return value
