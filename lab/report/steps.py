"""The host's steps with their seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lab.model import figures
from lab.model.summary import HostStep, Summary
from lab.model.summary_form import BuildCost
from lab.report.form_style import box, drawing, label
from lab.report.markup import Html, listed, part, tag

WIDTH: Final = 1120.0
NAMES_W: Final = 280.0
ROW_H: Final = 24.0
SHOWN: Final = 40


def section(summary: Summary) -> Html:
    steps = summary.steps[:SHOWN]
    whole = sum(step.seconds or 0.0 for step in summary.steps if step.depth == 0)
    build = [(name, form.build) for name, form in summary.forms.items() if form.build.size_bytes]
    lead = f"{figures.seconds(whole)} on the host from the first step to the last."
    if not steps:
        return part("steps", "Where the time went", "This run has no record of the host's steps.", _builds(build))
    return part("steps", "Where the time went", lead, tag("div", _draw(steps), class_="scroll"), _builds(build))


def _draw(steps: Sequence[HostStep]) -> Html:
    top = max((step.seconds or 0.0 for step in steps), default=1.0) or 1.0
    parts: list[Html] = []
    for index, step in enumerate(steps):
        y = ROW_H * index
        css = "step" if step.depth == 0 else "step inner"
        width = (step.seconds or 0.0) / top * (WIDTH - NAMES_W - 240)
        took = figures.seconds(step.seconds) if step.seconds is not None else "did not end"
        more = f" {step.outcome}" if step.outcome != "done" else ""
        name = "name" if step.depth == 0 else "name dim"
        parts += [label(14.0 * step.depth, y + 16, str(step.title)[:38], name),
                  box(NAMES_W, y + 6, max(width, 1.5), ROW_H - 12, css),
                  label(NAMES_W + width + 8, y + 16, took + more, "value")]  # fmt: skip
    return drawing(WIDTH, ROW_H * len(steps) + 4, "Seconds of each step.", *parts)


def _builds(build: Sequence[tuple[str, BuildCost]]) -> Html | None:
    lines = [
        f"{name}: {figures.size(facts.size_bytes)}"
        + (f", built cold in {figures.seconds(facts.cold_s)}" if facts.cold_s is not None else "")
        + (f", warm in {figures.seconds(facts.warm_s)}" if facts.warm_s is not None else "")
        for name, facts in build
    ]
    return listed(lines)
