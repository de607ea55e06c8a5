"""The published four-pillar table, with this run's measurement under each claim."""

from __future__ import annotations

from typing import Final

from lab.model import figures
from lab.model.summary import PillarClaim, Summary
from lab.report.markup import Html, join, link, part, table, tag

COLUMNS: Final = (("compile-time", "Compile time (Orchestrion)"), ("run-time", "Run time (eBPF)"))
SHOWN_FILES: Final = 3


def section(summary: Summary) -> Html:
    cells = {(row.pillar, row.mechanism): row for row in summary.pillars}
    names = list(dict.fromkeys(row.pillar for row in summary.pillars))
    rows = [
        (tag("th", name.capitalize(), scope="row"), *(_cell(cells.get((name, mechanism))) for mechanism, _ in COLUMNS))
        for name in names
    ]
    return part(
        "pillars",
        "The four pillars, with evidence",
        "The claims are those of the public talks on this comparison, which have no figures. "
        "Below each claim: the measurement of this run.",
        table(("", *(title for _, title in COLUMNS)), rows, class_="pillars"),
    )


def _cell(row: PillarClaim | None) -> Html:
    if row is None:
        return tag("td", figures.NONE)
    files = [link(path, "/".join(path.split("/")[-2:])) for path in row.evidence[:SHOWN_FILES]]
    return tag(
        "td",
        tag("q", row.claim),
        *(tag("p", part) for part in str(row.measured).split("; "))
        if row.evidence
        else (tag("p", "not measured", class_="empty"),),
        tag("small", tag("span", row.confidence, class_="chip"), " ", join(join((f, " ")) for f in files))
        if files
        else None,
    )
