"""The kinds of beats, one file each: a frozen dataclass whose fields are its keys, and which plays itself."""

from __future__ import annotations

from typing import Final

from lab.stage.kind import Kind
from lab.stage.kinds.command import Command
from lab.stage.kinds.slide import Slide

KINDS: Final[dict[str, type[Kind]]] = {
    "slide": Slide,
    "command": Command,
}
