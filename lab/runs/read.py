"""A run directory as a `Run`. The guest's half is hostile input: only plain files below the root, with caps.

Nothing is trusted but what `lab.guest.wire` can decode; what is missing or broken becomes a sentence in `Run.problems`
as long as the plan and the manifest can be read. Reading changes nothing and may be repeated.
"""

from __future__ import annotations

import csv
import gzip
import stat
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from lab.guest.wire import Canary, Cell, GuestManifest, GuestRecord, Plan, Span, WireError, decode, load, parse
from lab.model import paths
from lab.model.errors import FetchError
from lab.model.events import Record
from lab.model.run import Request, Run, RunCanary, RunCell, RunManifest

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Limits on what a run directory may make us read."""

    files: int = 20_000
    document_bytes: int = 64 << 20
    unpacked_bytes: int = 4 << 30
    line_bytes: int = 4 << 20
    rows: int = 5_000_000


CAPS: Final = Caps()
FACTS_FILE: Final = "facts.json"
REQUEST_COLUMNS: Final = ("intended_ns", "start_ns", "end_ns", "status", "type", "request_id", "trace_id")


class _TooMuch(ValueError):
    """A file is larger than anything a run writes."""


def read(root: Path, *, caps: Caps = CAPS) -> Run:
    """Read the run in `root`. Raises FetchError when there is no readable plan or manifest in it."""
    files = _inventory(root, caps)
    problems: list[str] = []
    guest = root / paths.GUEST_DIR
    plan = _required(root, guest / paths.PLAN_FILE, lambda text: load(Plan, text), caps)
    manifest = _required(root, root / paths.MANIFEST_FILE, lambda text: load(RunManifest, text), caps)
    sealed = _optional(guest / paths.MANIFEST_FILE, lambda text: load(GuestManifest, text), problems, caps)
    facts = _optional(guest / FACTS_FILE, _object, problems, caps)
    return Run(
        manifest=manifest,
        plan=plan,
        cells=_cells(root, files, problems, caps),
        canaries=_canaries(root, files, problems, caps),
        facts=facts or {},
        records=_lines(guest / paths.EVENTS_FILE, lambda doc: decode(GuestRecord, doc), problems, caps),
        host_events=_lines(root / paths.HOST_EVENTS_FILE, Record.from_json, problems, caps),
        outcome=sealed.outcome if sealed else "incomplete",
        files=files,
        problems=tuple(problems),
    )


def _inventory(root: Path, caps: Caps) -> dict[str, int]:
    """Every regular file below `root`; links, devices and more than `caps.files` are refused."""
    files: dict[str, int] = {}
    todo = [root]
    while todo:
        for path in sorted(todo.pop().iterdir()):
            mode = path.lstat().st_mode
            name = path.relative_to(root).as_posix()
            if stat.S_ISDIR(mode):
                todo.append(path)
            elif stat.S_ISREG(mode):
                files[name] = path.lstat().st_size
            else:
                raise FetchError(f"{root}: {name!r} is neither a file nor a folder", fix=f"rm {path}")
            if len(files) > caps.files:
                raise FetchError(f"{root}: more than {caps.files} files", fix=f"lab fetch {root.name}")
    return files


def _required(root: Path, path: Path, read_one: Callable[[str], T], caps: Caps) -> T:
    try:
        return read_one(_text(path, caps))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        where = path.relative_to(root).as_posix()
        raise FetchError(f"{root.name}: {where} cannot be read: {error}", fix=f"lab fetch {root.name}") from error


def _optional(path: Path, read_one: Callable[[str], T], problems: list[str], caps: Caps) -> T | None:
    if not path.exists():
        problems.append(f"{path.name} is missing in {path.parent.name}/")
        return None
    try:
        return read_one(_text(path, caps))
    except (OSError, ValueError, TypeError, KeyError) as error:
        problems.append(f"{path.parent.name}/{path.name} cannot be read: {error}")
        return None


def _text(path: Path, caps: Caps) -> str:
    if path.stat().st_size > caps.document_bytes:
        raise _TooMuch(f"larger than {caps.document_bytes} bytes")
    return path.read_text(encoding="utf-8", errors="replace")


def _object(text: str) -> dict[str, Any]:
    doc = parse(text)
    if not isinstance(doc, dict):
        raise WireError("an object is expected")
    return doc


def _cells(root: Path, files: dict[str, int], problems: list[str], caps: Caps) -> tuple[RunCell, ...]:
    """Each folder with a cell.json, reruns included, in the order in which they ran."""
    found = []
    for name in _named(files, paths.CELL_FILE):
        cell = _optional(root / name, lambda text: load(Cell, text), problems, caps)
        if cell is not None:
            folder = name.rpartition("/")[0]
            base = root / folder
            found.append(RunCell(cell=cell, folder=folder, requests=_requests(base, caps), spans=_spans(base, caps)))
    return tuple(sorted(found, key=lambda run_cell: (run_cell.cell.window_start_ns, run_cell.folder)))


def _canaries(root: Path, files: dict[str, int], problems: list[str], caps: Caps) -> tuple[RunCanary, ...]:
    found = []
    for name in _named(files, paths.CANARY_FILE):
        canary = _optional(root / name, lambda text: load(Canary, text), problems, caps)
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


def _lines(path: Path, read_one: Callable[[Any], T], problems: list[str], caps: Caps) -> tuple[T, ...]:
    """JSON lines; a torn last line (the writer was killed) is skipped, any other bad line is told once."""
    if not path.exists():
        return ()
    found: list[T] = []
    bad = 0
    for line in _text(path, caps).splitlines():
        try:
            found.append(read_one(parse(line)))
        except (ValueError, TypeError, KeyError):
            bad += 1
    if bad > 1:
        problems.append(f"{path.name}: {bad} lines cannot be read")
    return tuple(found)


def _requests(folder: Path, caps: Caps) -> Callable[[], Iterator[Request]]:
    def rows() -> Iterator[Request]:
        lines = _unpacked(folder / paths.REQUESTS_FILE, caps)
        reader = csv.reader(line.decode("utf-8", "replace") for line in lines)
        header = next(reader, None)
        if header is None:
            return
        if tuple(header[:7]) != REQUEST_COLUMNS:
            raise WireError(f"{folder.name}/{paths.REQUESTS_FILE}: columns are {header[:7]}")
        for row in reader:
            yield Request(int(row[0]), int(row[1]), int(row[2]), int(row[3]), row[4], row[5], row[6])

    return rows


def _spans(folder: Path, caps: Caps) -> Callable[[], Iterator[Span]]:
    def spans() -> Iterator[Span]:
        for line in _unpacked(folder / paths.SPANS_FILE, caps):
            yield load(Span, line)

    return spans


def _unpacked(path: Path, caps: Caps) -> Iterator[bytes]:
    """Lines of a gzip file, at most `caps` of them; a torn end (crash while writing) ends the stream."""
    if not path.exists():
        return
    total = 0
    try:
        with gzip.open(path) as packed:
            for rows in range(caps.rows + 1):
                line = packed.readline(caps.line_bytes + 1)
                total += len(line)
                if not line:
                    return
                if len(line) > caps.line_bytes or total > caps.unpacked_bytes or rows >= caps.rows:
                    raise _TooMuch(f"{path.parent.name}/{path.name}: larger than any run writes")
                yield line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise WireError(f"{path.parent.name}/{path.name}: torn ({error})") from error
