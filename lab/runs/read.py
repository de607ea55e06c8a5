"""Read a run directory as a `Run`. The guest's part is hostile input: only regular files below the root that match
the manifest, each read by `lab.system.documents`.

A part that was missing or broken already when sealed becomes a sentence in `Run.problems`, as long as plan and
manifest are readable. Reading changes nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from lab.guest.wire import (
    Canary,
    Cell,
    GuestManifest,
    GuestRecord,
    Plan,
    Span,
    WireError,
    decode,
    reference_faults,
    shown,
)
from lab.model import paths
from lab.model.errors import Newer, Unreadable
from lab.model.events import Record
from lab.model.facts import MachineFacts
from lab.model.run import Request, Run, RunCanary, RunCell, RunManifest
from lab.runs import sealed
from lab.runs.sealed import source
from lab.system import documents
from lab.system.documents import ROWS, Rows, Source

T = TypeVar("T")
FACTS_FILE: Final = "facts.json"
REQUEST_COLUMNS: Final = ("intended_ns", "start_ns", "end_ns", "status", "type", "request_id", "trace_id")
LONGEST_INTEGER: Final = 20


def read(root: Path, *, rows: Rows = ROWS) -> Run:
    """Read the run in `root`. Raises FetchError where a file differs from the manifest, Unreadable for plan and
    manifest."""
    manifest, files, doubt = sealed.check(root)
    return opened(root, manifest, files, doubt, rows=rows)


def opened(
    root: Path, manifest: RunManifest, files: dict[str, int], doubt: tuple[str, ...] = (), *, rows: Rows = ROWS
) -> Run:
    """The run in `root` whose `files` were compared with `manifest`. Raises Unreadable for the plan."""
    problems = list(doubt)
    guest = paths.GUEST_DIR
    plan = _plan(source(root, f"{guest}/{paths.PLAN_FILE}"))
    seal = _optional(root, f"{guest}/{paths.MANIFEST_FILE}", GuestManifest, problems)
    facts = _optional(root, f"{guest}/{FACTS_FILE}", dict[str, object], problems) or {}
    return Run(
        manifest=manifest,
        plan=plan,
        cells=_cells(root, files, problems, rows),
        canaries=_canaries(root, files, problems),
        machine=_machine(root, manifest, facts, problems),
        records=_lines(root, f"{guest}/{paths.EVENTS_FILE}", lambda doc: decode(GuestRecord, doc), problems),
        host_events=_lines(root, paths.HOST_EVENTS_FILE, Record.from_json, problems),
        outcome=seal.outcome if seal else "incomplete",
        files=files,
        problems=tuple(problems),
    )


def moved(run: Run, root: Path) -> Run:
    """The same run after its folder was renamed: rows are read from there."""
    cells = tuple(_cell(root, found.cell, found.folder, ROWS) for found in run.cells)
    return dataclasses.replace(run, cells=cells, files=sealed.inventory(root))


def cells(root: Path) -> tuple[RunCell, ...]:
    """The cells of a run that was fetched and has no manifest of this host. Raises Unreadable for a damaged one."""
    problems: list[str] = []
    found = _cells(root, sealed.inventory(root), problems, ROWS)
    if problems:
        raise source(root, paths.GUEST_DIR).error(problems[0])
    return found


def _plan(file: Source) -> Plan:
    plan = documents.read(file, Plan)
    for name, nodes in plan.reference.items():
        for index, key, why in reference_faults(shown(name), nodes):
            raise file.wrong(WireError(why).inside(key).inside(index).inside(name).inside("reference"))
    return plan


def _optional(root: Path, name: str, hint: type[T], problems: list[str]) -> T | None:
    if not (root / name).exists():
        problems.append(f"{Path(name).name} is missing in {Path(name).parent.name}/")
        return None
    try:
        return documents.read(source(root, name), hint)
    except Newer:
        raise
    except Unreadable as error:
        problems.append(error.message)
        return None


def _machine(root: Path, manifest: RunManifest, facts: dict[str, object], problems: list[str]) -> MachineFacts:
    """The facts for the report, the guest's before the manifest's; only the manifest's when one has a wrong type.

    The guest half reads them when a run begins, the host before every start of it.
    """
    try:
        begun = MachineFacts.of({**manifest.guest, **facts})
    except WireError as error:
        problems.append(source(root, f"{paths.GUEST_DIR}/{FACTS_FILE}").wrong(error).message)
    else:
        problems += [f"the run went on on another machine: {why}" for why in begun.unlike(_last(manifest))]
        return begun
    try:
        return MachineFacts.of(manifest.guest)
    except WireError as error:
        raise source(root, paths.MANIFEST_FILE).wrong(error.inside("guest")) from error


def _last(manifest: RunManifest) -> MachineFacts:
    try:
        return MachineFacts.of(manifest.guest)
    except WireError:
        return MachineFacts()


def _cells(root: Path, files: dict[str, int], problems: list[str], rows: Rows) -> tuple[RunCell, ...]:
    """Each folder with a cell.json, including reruns, in order of time."""
    found = []
    for name in _named(files, paths.CELL_FILE):
        cell = _optional(root, name, Cell, problems)
        if cell is not None and cell.window_start_ns > cell.window_end_ns:
            late = WireError(f"the window ends before it starts ({cell.window_start_ns})").inside("window_end_ns")
            problems.append(source(root, name).wrong(late).message)
        elif cell is not None:
            found.append(_cell(root, cell, name.rpartition("/")[0], rows))
    return tuple(sorted(found, key=lambda run_cell: (run_cell.cell.window_start_ns, run_cell.folder)))


def _cell(root: Path, cell: Cell, folder: str, rows: Rows) -> RunCell:
    requests, spans = (source(root, f"{folder}/{name}") for name in (paths.REQUESTS_FILE, paths.SPANS_FILE))
    return RunCell(cell=cell, folder=folder, requests=_requests(requests, rows), spans=_spans(spans, rows))


def _canaries(root: Path, files: dict[str, int], problems: list[str]) -> tuple[RunCanary, ...]:
    found = []
    for name in _named(files, paths.CANARY_FILE):
        canary = _optional(root, name, Canary, problems)
        if canary is not None:
            # a life's folder is BLOCK-FORM.ATTEMPT
            folder = name.split("/")[-2]
            block, attempt = _number(folder.partition("-")[0]), _number(folder.rpartition(".")[2])
            found.append(RunCanary(canary=canary, path=name, block=block, attempt=attempt))
    return tuple(found)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _named(files: dict[str, int], name: str) -> list[str]:
    return [path for path in files if path.startswith(f"{paths.GUEST_DIR}/") and path.endswith(f"/{name}")]


def _lines(root: Path, name: str, one: Callable[[object], T], problems: list[str]) -> tuple[T, ...]:
    """The values of a log; invalid lines are reported once, by the first of them."""
    try:
        found, bad = documents.lines(source(root, name), one)
    except Unreadable as error:
        problems.append(error.message)
        return ()
    if bad:
        more = f", and {len(bad) - 1} more lines" if len(bad) > 1 else ""
        problems.append(f"{bad[0].message}{more}")
    return found


def _requests(file: Source, rows: Rows) -> Callable[[], Iterator[Request]]:
    return partial(documents.packed_rows, file, REQUEST_COLUMNS, _request, rows)  # can be pickled


def _request(row: list[str]) -> Request:
    intended, start, end, status = (decode(int, _integer(text, at)) for at, text in enumerate(row[:4]))
    return Request(intended, start, end, status, row[4], row[5], row[6])


def _integer(text: str, at: int) -> int:
    if len(text) > LONGEST_INTEGER or not text.removeprefix("-").isdecimal() or not text.isascii():
        raise WireError(f'an integer is expected, not "{shown(text)}"').inside(REQUEST_COLUMNS[at])
    return int(text)


def _spans(file: Source, rows: Rows) -> Callable[[], Iterator[Span]]:
    return partial(documents.packed_lines, file, Span, rows)
