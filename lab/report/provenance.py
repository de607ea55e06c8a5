"""Everything needed to repeat or review the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab.guest.wire import encode
from lab.model import figures
from lab.model.facts import MachineFacts
from lab.model.own import Change, clause
from lab.model.summary import Part, Summary
from lab.model.summary_form import FormSummary
from lab.report import phrases
from lab.report.markup import Html, join, link, listed, number, part, table, tag

SHORT = 16


def section(summary: Summary) -> Html:
    about = summary.provenance
    rows = [
        ("grade", f"{summary.grade.word}: {'; '.join(summary.grade.reasons)}"),
        ("created", about.created),
        ("seed", about.seed),
        ("service", f"{about.service}, topology {about.topology}"),
        ("load", f"open loop, {about.arrivals} arrivals, {_mix(about.mix)}"),
        ("CPU layout", about.layout),
        ("provider", f"{about.provider}, acceleration {about.acceleration}"),
        ("host", _facts(encode(about.host))),
        ("machine", _facts(about.guest)),
        *_behind(about.machine),
        ("span clocks", _clocks(summary.forms)),
        ("toolchain", _facts(about.toolchain)),
        ("image", about.image_id),
        ("plan", f"sha256 {about.plan_sha256}"),
        ("guest manifest", f"sha256 {about.guest_manifest_sha256}"),
        ("playbook", f"sha256 {about.playbook_sha256}"),
        ("files", f"{figures.plural(about.files, 'file')}, {figures.size(about.bytes)}"),
    ]
    items = [
        join for name, value in rows for join in (tag("dt", name), tag("dd", value if value != "" else figures.NONE))
    ]
    return part(
        "provenance",
        "Provenance",
        "The command below repeats this run on the same machine.",
        tag("pre", tag("code", " ".join(_quoted(word) for word in about.command) or "not recorded")),
        tag("dl", *items),
        _forms(summary),
        _changes(summary.forms),
        tag("p", "All figures of this page: ", link("summary.json"), ". Raw data: ", link("guest/", "guest/"), ", ",
            link("manifest.json"), ", ", link("events.jsonl"), "."),
    )  # fmt: skip


def _quoted(word: str) -> str:
    return (
        word if word and all(c.isalnum() or c in "-_./=:,@%+" for c in word) else "'" + word.replace("'", "'\\''") + "'"
    )


def _mix(mix: Sequence[Part]) -> str:
    total = sum(item.weight for item in mix) or 1
    return ", ".join(f"{item.type} {item.weight / total:.0%}" for item in mix)


def _facts(facts: Mapping[str, object]) -> str:
    plain = {key: value for key, value in facts.items() if isinstance(value, (str, int, float, bool)) and value != ""}
    return ", ".join(f"{key} {value}" for key, value in plain.items()) or "not recorded"


def _behind(machine: MachineFacts) -> list[tuple[str, str]]:
    """The clock of a restored machine, which is measured but not corrected."""
    behind_s = machine.clock_behind_s
    if behind_s is None:
        return []
    shift = f"{abs(behind_s):.1f} s {'behind' if behind_s > 0 else 'ahead of'} the host's, measured, not corrected"
    return [("machine's clock", f"{shift}; events.jsonl is in the host's time")]


def _clocks(forms: Mapping[str, FormSummary]) -> str:
    """Each corrected clock shift, with its form."""
    found = [
        f"{name} up to {figures.amount(form.clock_shift.max_ms)} ms early in "
        f"{figures.plural(form.clock_shift.cells, 'cell')}, corrected"
        for name, form in forms.items()
        if form.clock_shift.cells
    ]
    counted = any(not form.coverage.not_counted for form in forms.values() if form.role == "instrumented")
    return "; ".join(found) or ("no shift corrected" if counted else "no spans were counted")


def _changes(forms: Mapping[str, FormSummary]) -> Html | None:
    """Differences of a form's program from the service's own, by the build information of the binary."""
    found = {name: form.changes for name, form in forms.items() if form.changes}
    lines = listed([join((tag("b", name), f": {_changed(changes)}")) for name, changes in found.items()])
    text = "Differences of each form's program from the service's own, and instrumentation that the service itself has."
    head = tag("p", f"{text} Forms that are not listed have none.")
    return tag("div", head, lines) if lines else None


def _changed(changes: Sequence[Change]) -> str:
    files = [f"{one.what} replaced by the form" for one in changes if one.kind == "file"]
    moved = [clause(one.what, one.kind, one.before, one.after) for one in changes if one.kind not in ("file", "added")]
    added = [f"{one.what} {one.after}" for one in changes if one.kind == "added"]
    return "; ".join([*files, *moved, *([f"added: {', '.join(added)}"] if added else [])])


def _forms(summary: Summary) -> Html:
    rows = []
    for name, form in summary.forms.items():
        cells = form.cells
        rows.append(
            (tag("th", name, scope="row"), form.title, form.mechanism,
             tag("code", form.build_id or figures.NONE), tag("code", form.sha256[:SHORT]),
             number(figures.size(form.build.size_bytes)),
             number(f"{cells.valid} / {cells.planned}{phrases.saturated(cells)}"),
             number(figures.share(cells.invalid_share)))
        )  # fmt: skip
    return table(("form", "", "mechanism", "build id", "sha256", "size", "valid cells", "INVALID share"), rows)
