"""The verdict card as Markdown, for a pull request or a chat."""

from __future__ import annotations

import re
from typing import Final

from lab.model import figures
from lab.model.summary import Summary
from lab.report import phrases
from lab.report.markup import clean

_MARKS: Final = re.compile(r"([\\`*_\[\]|#~])")


def markdown(summary: Summary) -> str:
    """Title, verdict lines, overhead and spans as tables, limits, command."""
    grade = summary.grade
    lines = [
        f"# {plain(summary.scenario_title or summary.scenario)}",
        "",
        f"Run `{code(summary.run_id)}` · profile {plain(summary.profile)} · {_cells(summary)}",
        "",
        f"Grade **{plain(grade.word)}**: {plain('; '.join(grade.reasons))}.",
        "",
    ]
    lines += [f"- Problem of the run: {plain(problem)}" for problem in summary.problems]
    lines += [f"- {plain(failure)}" for failure in phrases.unproven(summary)]
    for line in summary.lines:
        against = "" if line.against == "baseline" else f" against **{plain(line.against)}**"
        lines.append(f"- **{plain(line.form)}**{against}: {plain(line.word)}. {plain(line.text)}")
    lines += [f"- **{plain(entry.form)}**: NOT BUILT. {plain(entry.reason)}" for entry in summary.left_out]
    lines += [f"- {plain(text)}" for text in phrases.kept_up(summary)]
    lines += ["", *_effects(summary), "", *_spans(summary), "", "## Claims that this run does not support", ""]
    lines += [f"- {plain(claim)}" for claim in summary.may_not_claim]
    command = " ".join(summary.provenance.command)
    lines += [
        "",
        f"`{code(command)}`",
        "",
        "All figures: [summary.json](summary.json), the report: [report.html](report.html).",
    ]
    return "\n".join(lines) + "\n"


def _cells(summary: Summary) -> str:
    return phrases.usable(summary.cells)


def _effects(summary: Summary) -> list[str]:
    head = ("form", "against", "metric", "effect", "interval", "detectable", "blocks", "word")
    lines = [f"| {' | '.join(head)} |", "|---|---|---|---:|---:|---:|---:|---|"]
    for row in summary.verdicts:
        name = phrases.compared(summary, row)
        effect, interval = figures.stated(row.effect_pct, row.lost), phrases.interval(row)
        least = figures.NONE if row.mde_pct is None else f"{figures.amount(row.mde_pct)} %"
        cells = (row.form, row.against, name, effect, interval, least, row.blocks, row.word)
        lines.append("| " + " | ".join(plain(cell) for cell in cells) + " |")
    return lines


def _spans(summary: Summary) -> list[str]:
    lines = ["| form | coverage | parents right | conformance | missing or misplaced |", "|---|---:|---:|---:|---|"]
    for name, form in summary.forms.items():
        if form.role != "instrumented":
            continue
        cover, conform = form.coverage, form.conformance
        gone = [f"{entry.kind} {entry.count:,} ({entry.cause})" for entry in conform.missing]
        gone += [f"{entry.kind} {entry.count:,} misplaced ({entry.cause})" for entry in cover.misplaced]
        nothing = f"not counted: {cover.not_counted}" if cover.not_counted else "nothing"
        cells = (
            name,
            figures.share(cover.ratio),
            figures.share(cover.parents_ok),
            figures.share(conform.ratio),
            "; ".join(gone) or nothing,
        )
        lines.append("| " + " | ".join(plain(cell) for cell in cells) + " |")
    return lines


def plain(value: object) -> str:
    """Text with Markdown escaped, on one line."""
    literal = _MARKS.sub(r"\\\1", clean(value, 2000)).replace("\n", " ")
    return literal.replace("<", "&lt;").replace(">", "&gt;")


def code(value: object) -> str:
    """Text inside backticks, where nothing can be escaped: replaces characters that could end them or open a tag."""
    return clean(value, 2000).replace("`", "'").replace("\n", " ").replace("<", "\\u003c")
