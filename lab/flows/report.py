"""From a run directory to its summary and report; needs no machine."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab import report, verdict
from lab.flows import left_out
from lab.guest.wire import encode
from lab.model.errors import DemoError, FetchError, Unreadable, UsageError
from lab.model.lab import Lab
from lab.model.loading.yamlspec import nearest
from lab.model.paths import (
    EVENTS_FILE,
    GUEST_DIR,
    INCOMPLETE_PREFIX,
    JUNIT_FILE,
    MANIFEST_FILE,
    PLAN_FILE,
    REPORT_HTML,
    REPORT_MD,
    SUMMARY_FILE,
    VERDICTS_CSV,
    Paths,
)
from lab.model.run import Run, RunManifest
from lab.model.summary import Sentence, Summary
from lab.model.summary_form import Cells
from lab.report import phrases
from lab.runs import merge
from lab.runs import read as runs_read
from lab.runs.sealed import source
from lab.system import documents, store
from lab.system.every_core import every_core
from lab.verdict import several

WRITTEN: Final = (EVENTS_FILE, SUMMARY_FILE, REPORT_HTML, REPORT_MD, JUNIT_FILE, VERDICTS_CSV)
SEVERAL: Final = 4  # runs that a message lists
FEW_BYTES: Final = 2 << 20  # of packed rows and spans; more of them take longer than to start a process on each core
HOSTS: Final = frozenset({"clock", "hardware", "host"})  # in which runs of counted clocks may differ
ANY_HOST: Final = "; runs of counted clocks with one image are compared across hosts"
RUN_ID: Final = re.compile(r"\d{8}-\d{6}-")  # how one begins
HALF: Final = "has no manifest.json: the copy is incomplete"
SHOWN: Final = 80  # letters of the given name that a message shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """The report's path, and its result as lines of text."""

    directory: Path
    html: Path
    summary: Summary
    lines: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0, or 6 when a form was not built or a planned cell is not valid by a fault (a gate, a proof, a crash)."""
        lost = any(form.cells.settled < form.cells.planned for form in self.summary.forms.values())
        return DemoError.exit_code if lost or self.summary.left_out else 0


def find(paths: Paths, run_id: str | None) -> Path:
    """The directory of a complete run: the one named, or the newest. Raises UsageError."""
    folders = complete(paths)
    if run_id is None:
        if not folders:
            raise UsageError(f"no runs in {paths.runs}", fix="lab demo")
        return folders[-1]
    whole = {path.name: path for path in folders}
    name = pick(run_id, [*whole, *cut(paths), *half_copied(paths)])
    if name in half_copied(paths):
        raise UsageError(f"run {name} {HALF}", fix="copy the whole folder again")
    if name not in whole:
        raise UsageError(f"run {name} is incomplete", fix="run the same lab demo again to resume it")
    return whole[name]


def pick(wanted: str, known: Collection[str]) -> str:
    """The run of this name, or the only one whose name starts with it. Raises UsageError."""
    found = [wanted] if wanted in known else [name for name in known if wanted.strip() and name.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"no run {wanted[:SHOWN]!r}{nearest(wanted[:SHOWN], known)}", fix="lab runs")
    more = f" and {len(found) - SEVERAL} more" if len(found) > SEVERAL else ""
    begin = documents.shown_path(", ".join(found[:SEVERAL]))
    raise UsageError(f"{wanted!r} is ambiguous: it matches {begin}{more}", fix="give more of the run's name")


def complete(paths: Paths) -> list[Path]:
    """Complete runs, oldest first. Reads the manifest of a renamed copy only."""
    return sorted((p for p in _folders(paths) if os.path.lexists(p / MANIFEST_FILE)), key=_begun)


def half_copied(paths: Paths) -> list[str]:
    """The folders of a run whose manifest is missing: `lab` itself writes it before it names the folder."""
    partial = (p for p in _folders(paths) if p.is_dir() and not os.path.lexists(p / MANIFEST_FILE))
    return sorted(
        p.name for p in partial if RUN_ID.match(p.name) or (p / PLAN_FILE).exists() or (p / GUEST_DIR).is_dir()
    )


def _folders(paths: Paths) -> list[Path]:
    if not paths.runs.is_dir():
        return []
    return [p for p in paths.runs.iterdir() if not p.name.startswith((INCOMPLETE_PREFIX, "."))]


def _begun(folder: Path) -> tuple[str, bool, str]:
    """By the time in the run's id, which a renamed copy has in its manifest alone; it comes before the run itself.

    One that cannot be read comes first.
    """
    if RUN_ID.match(folder.name):
        return folder.name, True, folder.name
    try:
        run_id = documents.read(source(folder, MANIFEST_FILE), RunManifest).run_id
    except Unreadable:
        run_id = ""
    return run_id, False, folder.name


def cut(paths: Paths) -> dict[str, Path]:
    """Name -> folder of the incomplete runs, oldest first."""
    folders = sorted(paths.runs.glob(f"{INCOMPLETE_PREFIX}*")) if paths.runs.is_dir() else []
    return {path.name.removeprefix(INCOMPLETE_PREFIX): path for path in folders}


def summary(directory: Path) -> Summary:
    """The verdict on a run, from its files; writes nothing."""
    return _summary(runs_read.read(directory))


def _summary(run: Run) -> Summary:
    raw = sum(size for name, size in run.files.items() if name.endswith(".gz"))
    return verdict.summarize(run, every_core) if raw > FEW_BYTES else verdict.summarize(run)


def write(lab: Lab, directory: Path, run: Run | None = None) -> Reported:
    """Write events.jsonl, summary.json, report.html, report.md and junit.xml into a run. Idempotent.

    run: the run, where the caller has read and verified it already.
    """
    with lab.bus.step("report", "report") as step:
        run = run or runs_read.read(directory)
        summary = _summary(run)
        figures = report.figures(summary)
        _check_places(directory, figures)
        merged = merge.merged(run.host_events, run.records, behind_s=run.machine.clock_behind_s or 0.0)
        store.write_text(directory / EVENTS_FILE, "".join(map(merge.line, merged)))
        store.write_json(directory / SUMMARY_FILE, encode(summary))
        html = directory / REPORT_HTML
        store.write_text(html, report.html(summary))
        store.write_text(directory / REPORT_MD, report.markdown(summary))
        store.write_text(directory / JUNIT_FILE, report.junit(summary))
        store.write_text(directory / VERDICTS_CSV, report.verdicts(summary))
        for name, svg in figures.items():
            store.write_text(directory / name, svg)
        step.say(documents.shown_path(str(html)))
    return Reported(
        directory=directory,
        html=html,
        summary=summary,
        lines=tuple(
            documents.shown_path(line)
            for line in (
                *(f"problem of the run: {problem}" for problem in summary.problems),
                *(f"{name}: proof FAILED: {why}" for name, why in summary.unproven.items()),
                *(_line(row) for row in summary.lines),
                *([] if summary.lines else [f"no instrumented form in this run; {_cells(summary.cells)}"]),
                *left_out.lines(run.manifest.left_out),
            )
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Several runs and their verdicts on the same comparisons."""

    runs: tuple[str, ...]
    rows: tuple[several.Comparison, ...]
    lines: tuple[str, ...]


def compare(lab: Lab, directories: Sequence[Path]) -> Compared:
    """Judge each run from its files and list the verdicts side by side. Raises UsageError for unlike runs."""
    with lab.bus.step("compare", f"compare {len(directories)} runs"):
        runs = [summary(directory) for directory in directories]
        if repeated := several.repeated(runs):
            why = f"{documents.shown_path(', '.join(repeated))} is given more than once"
            raise UsageError(why, fix="lab report --compare RUN RUN (lab runs lists them)")
        if differences := several.differences(runs):
            shown = documents.shown_path("; ".join(differences))
            fix = f"compare runs with the same {', '.join(several.unlike(runs))}"
            fix += ANY_HOST if not HOSTS.isdisjoint(several.unlike(runs)) else ""
            raise UsageError(f"NOT COMPARABLE: the runs differ in {shown}", fix=fix)
        rows = several.side_by_side(runs)
    lines = [*map(several.about, runs), *several.built_apart(runs), *several.lines(rows)]
    none = ["the runs have no verdict on the same comparison"] if not rows else []
    told = tuple(documents.shown_path(line) for line in (*lines, *none))
    return Compared(runs=tuple(run.run_id for run in runs), rows=tuple(rows), lines=told)


def to_compare(paths: Paths, named: Sequence[str]) -> list[Path]:
    """The directories of these runs; a single run is compared with the newest. Raises UsageError."""
    found = list(dict.fromkeys(find(paths, name) for name in (*named, *([None] if len(named) < 2 else []))))
    if len(found) < 2:
        raise UsageError("a comparison needs two runs", fix="lab report --compare RUN RUN (lab runs lists them)")
    return found


def _check_places(directory: Path, figures: Collection[str]) -> None:
    """Check all paths before the first write: none may be a folder. Raises FetchError."""
    for name in (*WRITTEN, *figures):
        if (directory / name).is_dir():
            path = documents.shown_path(str(directory / name))
            raise FetchError(f"cannot write {path}: it is a folder", fix=f"remove {path}")


def _line(row: Sentence) -> str:
    against = "" if row.against == "baseline" else f" against {row.against}"
    return f"{row.form}{against}: {row.word}. {row.text}"


def _cells(cells: Cells) -> str:
    return f"{cells.valid} of {cells.planned} cells are valid{phrases.saturated(cells)}"
