"""The kinds of beats, one file each: a frozen dataclass whose fields are its keys, and which plays itself."""

from __future__ import annotations

from typing import Final

from lab.stage.kinds.attach import AttachBeat
from lab.stage.kinds.build import BuildBeat
from lab.stage.kinds.command import CommandBeat
from lab.stage.kinds.kind import Kind
from lab.stage.kinds.load import LoadBeat
from lab.stage.kinds.pillar import PillarBeat
from lab.stage.kinds.request import RequestBeat
from lab.stage.kinds.shell import ShellBeat
from lab.stage.kinds.slide import SlideBeat

KINDS: Final[dict[str, type[Kind]]] = {
    "request": RequestBeat,
    "load": LoadBeat,
    "build": BuildBeat,
    "attach": AttachBeat,
    "pillar": PillarBeat,
    "command": CommandBeat,
    "slide": SlideBeat,
    "shell": ShellBeat,
}
