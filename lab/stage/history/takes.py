"""Takes: what each beat of a rehearsal showed, kept to be played when the beat cannot be shown live.

A take is one file with a digest of its own, written beside, synced and renamed: a damaged file is refused.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from lab.guest.wire import WireError, canonical, decode, encode, parse
from lab.model.errors import Unreadable
from lab.model.paths import Paths
from lab.stage.beat.scene import Scene
from lab.stage.history.inputs import HostInputs, Inputs, differences
from lab.stage.stream.events import BeatCard
from lab.stage.stream.records import StageRecord
from lab.system import documents, store
from lab.system.documents import Source

SCHEMA: Final = 1
FOLDER: Final = "takes"
LONGEST_S: Final = 30.0  # of what is shown
NAMED: Final = 3  # changed inputs that a refusal names


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """What is written of a take beside its records."""

    show: str
    beat: str
    machine: str
    recorded: str  # UTC, as ISO 8601
    inputs: Inputs
    seconds: float
    # what a replay shows of the beat and its show where the show file is not there; earlier takes have none of it
    title: str = ""  # of the show
    at: int = -1  # place of the beat among the show's
    card: BeatCard | None = None
    mechanisms: dict[str, str] = field(default_factory=dict)  # of the show's forms, in their order


@dataclass(frozen=True, slots=True, kw_only=True)
class _Records:
    """What is written of them."""

    records: tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Take(_Head):
    """The records of one attempt of a beat; their `at_s` counts from the beat's start."""

    records: tuple[StageRecord, ...]

    @property
    def day(self) -> str:
        return self.recorded[:10]

    @property
    def clock(self) -> Literal["real", "counted"]:
        """Of the machine that it was recorded on: what counts instructions shows no time."""
        return "counted" if self.inputs.machine.get("clock") == "counted" else "real"

    def play(self, scene: Scene) -> None:
        """Show it again, at its own pace; a long one faster: that a host was busy is no reason to wait for it."""
        pace = min(1.0, LONGEST_S / max(self.seconds, 0.001))
        for record in self.records:
            scene.deadline.sleep(max(0.0, record.at_s * pace - scene.at_ms() / 1000))
            scene.emit(record.event)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """A take as it is written: `sha256` of the canonical JSON of `take`."""

    schema: int
    sha256: str
    take: dict[str, Any]


def folder(paths: Paths, machine: str, show: str) -> Path:
    """Where a show keeps what its rehearsals leave on a machine."""
    return paths.stage(machine) / show


def save(place: Path, take: Take) -> Path:
    """Keep it in place of an earlier one of its beat. place: of the show (`folder`).

    Raises OSError, and Unreadable for one that could not be read again (it is too large): then the earlier one stays.
    """
    body = {name: encode(getattr(take, name)) for name in _Head.__dataclass_fields__}
    body["records"] = [record.to_json() for record in take.records]
    doc = {"schema": SCHEMA, "sha256": hashlib.sha256(canonical(body)).hexdigest(), "take": body}
    path = place / FOLDER / f"{take.beat}.json"
    source = _source(path)
    text = store.json_text(doc)
    try:
        again = parse(text.encode())
    except WireError as error:
        raise source.wrong(error) from error
    _checked(source, documents.decoded(source, _Stored, again))
    store.write_text(path, text)
    return path


def load(path: Path) -> Take:
    """Read a take. Raises Unreadable where it is missing, truncated, or not what was written."""
    source = _source(path)
    return _checked(source, documents.read(source, _Stored))


def _source(path: Path) -> Source:
    return Source(path=path, name=str(path), fix="rehearse the show again")


def _checked(source: Source, doc: _Stored) -> Take:
    if doc.schema != SCHEMA:
        raise source.error(f"schema {doc.schema}, this lab reads {SCHEMA}")
    if hashlib.sha256(canonical(doc.take)).hexdigest() != doc.sha256:
        raise source.error("its digest is not that of its content: it was changed or is damaged")
    try:
        head = decode(_Head, doc.take)
        records = tuple(StageRecord.from_json(each) for each in decode(_Records, doc.take).records)
    except WireError as error:
        raise source.wrong(error) from error
    return Take(**{name: getattr(head, name) for name in _Head.__dataclass_fields__}, records=records)


def usable(place: Path, beat: str, inputs: Inputs | HostInputs) -> Take | str:
    """The take of a beat, or why there is none to play. inputs: of today; this host's where no machine answered."""
    path = place / FOLDER / f"{beat}.json"
    if not path.exists():
        return "there is no take of it: a rehearsal records one"
    try:
        take = load(path)
    except Unreadable as error:
        return f"its take cannot be played: {error.message}"
    if take.beat != beat:
        return f"its take cannot be played: {path.name} is the take of beat {documents.shown_path(take.beat)}"
    changed = differences(take.inputs, inputs.on(take.inputs) if isinstance(inputs, HostInputs) else inputs)
    if changed:
        more = f" and {len(changed) - NAMED} more" if len(changed) > NAMED else ""
        return f"its take of {take.day} is of other inputs: {'; '.join(changed[:NAMED])}{more}"
    return take
