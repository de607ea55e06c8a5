"""Reads what `lab show --json` printed: one whole show, also as an editor or PowerShell saved it."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from lab.guest.wire import WireError, parse
from lab.model.errors import UsageError
from lab.stage.stream.events import BeatEnded, BeatStarted, Notes, ShowStarted
from lab.stage.stream.records import StageRecord
from lab.system import documents
from lab.system.documents import LINE, LOG, Source

FIX: Final = "give a file that lab show --json wrote, or a take"
UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # PowerShell's `>` writes it


def read(path: Path) -> tuple[ShowStarted, tuple[StageRecord, ...]]:
    """How the show began, and its records. Raises UsageError for no show, Unreadable for a damaged one."""
    source = Source(path=path, name=str(path), fix=FIX)
    numbered = _numbered(source)
    return _checked(source, numbered), tuple(record for _, record in numbered)


def _numbered(source: Source) -> list[tuple[int, StageRecord]]:
    """Each record with its line. Blank lines are none; a last line that was cut is left out."""
    lines = _text(source).split(b"\n")
    found: list[tuple[int, StageRecord]] = []
    left = LOG.values
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        left -= line.count(b",") + line.count(b"[") + line.count(b"{")
        if left < 0:
            raise source.error(f"more than {LOG.values} values", line=number)
        try:
            doc = parse(line, LINE)
            if isinstance(doc, Mapping) and [*doc] == ["result"]:  # how a command that failed, or was stopped, ended
                continue
            found.append((number, StageRecord.from_json(doc)))
        except WireError as error:
            if number < len(lines):
                raise source.wrong(error, line=number) from error
    return found


def _text(source: Source) -> bytes:
    """What is in the file, as UTF-8 without a byte order mark."""
    data = documents.content(source, LOG.size)
    if not data.startswith(UTF_16):
        return data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode("utf-16").encode()
    except UnicodeError as error:
        raise source.error("not UTF-16, as its first bytes say") from error


def _checked(source: Source, numbered: Sequence[tuple[int, StageRecord]]) -> ShowStarted:
    """The start of the show. Each beat has to come after it and be one of its beats."""
    started: ShowStarted | None = None
    for line, record in numbered:
        match record.event:
            case ShowStarted() as event:
                if started is not None:
                    raise source.error("a second show begins here: a file holds one", line=line)
                started = event
            case BeatStarted(beat=beat) | BeatEnded(beat=beat) | Notes(beat=beat):
                if started is None:
                    raise source.error("a beat comes before the start of its show", line=line)
                if beat >= (count := len(started.beats)):
                    raise source.error(f"a beat that is not among the show's {count}", line=line)
            case _:
                pass
    if started is None:
        raise UsageError(f"{source.name} holds no show", fix=FIX)
    return started
