"""The page around the sections: policy, style, head and foot. It needs no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lab.model.figures import plural
from lab.model.summary import GradeWord, Summary
from lab.report import (
    cells,
    cpu,
    latency,
    overhead,
    pillars,
    provenance,
    rates,
    spans,
    steps,
    timeline,
    verdict_section,
    waterfalls,
)
from lab.report.markup import Html, tag
from lab.report.phrases import usable

Section = Callable[[Summary], Html]
# In order of the reader's questions: result, cost, spans, details, provenance.
SECTIONS: Final[tuple[tuple[str, str, Section], ...]] = (
    ("verdict", "Verdict", verdict_section.section),
    ("overhead", "Overhead", overhead.section),
    ("waterfalls", "Waterfalls", waterfalls.section),
    ("spans", "Spans", spans.section),
    ("latency", "Latency", latency.section),
    ("cpu", "CPU", cpu.section),
    ("rates", "Rates", rates.section),
    ("cells", "Cells", cells.section),
    ("pillars", "Four pillars", pillars.section),
    ("timeline", "Session", timeline.section),
    ("steps", "Steps", steps.section),
    ("provenance", "Provenance", provenance.section),
)
# What a machine of each grade is good for.
WORTH: Final[dict[GradeWord, str]] = {
    "counted": "instructions and spans are valid; no figure is a time",
    "emulated": "spans are valid; times show only an order of magnitude",
    "noisy": "other programs used this machine",
    "limited": "a shared CPU: suitable to compare, not to publish",
    "ready": "suitable for published results",
}


def html(summary: Summary) -> str:
    """The report as one HTML page. Every figure is from `summary`."""
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    policy = f"default-src 'none'; style-src 'sha256-{_digest(style)}'; base-uri 'none'; form-action 'none'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{summary.scenario}: {summary.run_id}"),
        Html(f"<style>{style}</style>"),
    )
    body = tag(
        "body",
        _masthead(summary),
        tag("main", *(build(summary) for _, _, build in SECTIONS)),
        _foot(summary),
    )
    return f'<!doctype html>\n<html lang="en">\n{head}\n{body}\n</html>\n'


def _digest(style: str) -> str:
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


def _masthead(summary: Summary) -> Html:
    grade, cells = summary.grade, summary.cells
    what = tag(
        "div",
        tag("p", "Invisible instrumentation lab", class_="kicker"),
        tag("h1", summary.scenario_title or summary.scenario),
        tag(
            "p",
            "The same Go service and requests: what does each form cost, and which spans does it send?",
            class_="ask",
        ),
        tag(
            "p",
            f"{plural(len(summary.forms), 'form')} · {usable(cells)} · profile {summary.profile} · {summary.run_id}",
            class_="meta",
        ),
    )
    stamp = tag(
        "div",
        tag("b", grade.word.upper()),
        tag("span", WORTH[grade.word]),
        class_=f"stamp g-{grade.word}",
        title="; ".join(grade.reasons),
    )
    nav = tag("nav", *(tag("a", title, href=f"#{ident}") for ident, title, _ in SECTIONS), aria_label="Sections")
    return tag("header", tag("div", what, stamp, class_="mast"), nav, class_="top")


def _foot(summary: Summary) -> Html:
    version = summary.provenance.lab_version
    return tag(
        "footer",
        tag(
            "p",
            f"lab {version} · created {summary.provenance.created} · needs no network",
        ),
    )
