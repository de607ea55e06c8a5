"""The main job: machine, forms, run, results, report; doing only what is missing, going on where a kill left it.

The tuple `DEMO` is the diagram: each stage takes the value that the one before gives; failure is an exception.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from lab.flows import resume, stages
from lab.flows.report import Reported
from lab.flows.request import DemoRequest
from lab.flows.stages import Work
from lab.model.lab import Lab


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """`act` gives the next value, which `name` tells of."""

    name: str
    act: Callable[[Work, Any], Any]


DEMO: Final[tuple[Stage, ...]] = (
    Stage(name="machine and artifacts", act=stages.machine_and_artifacts),
    Stage(name="deployed", act=stages.deploy),
    Stage(name="planned", act=stages.plan),
    Stage(name="started", act=stages.start),
    Stage(name="followed", act=stages.follow),
    Stage(name="fetched", act=stages.bring),
    Stage(name="sealed", act=stages.seal),
    Stage(name="reported", act=stages.tell),
)


def demo(lab: Lab, asked: DemoRequest) -> Reported:
    """Run the whole of it. Raises LabError subclasses; a run that was cut is found by its plan and gone on with."""
    reported: Reported = run(lab, DEMO, asked)
    return reported


def run(lab: Lab, way: tuple[Stage, ...], value: Any) -> Any:
    """Every stage in order; what the last one gives."""
    resume.writable(lab)  # now, rather than after minutes of making
    recorder = resume.Recorder()
    lab.bus.add(recorder)
    with ExitStack() as open_:
        work = Work(lab=lab, recorder=recorder, open=open_)
        for stage in way:
            value = stage.act(work, value)
    return value
