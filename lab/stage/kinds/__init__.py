"""The kinds of beats, one file each: a frozen dataclass whose fields are its keys, and which plays itself."""

from __future__ import annotations

from typing import Final

from lab.stage.kind import Kind
from lab.stage.kinds.attach import Attach
from lab.stage.kinds.build import Build
from lab.stage.kinds.command import Command
from lab.stage.kinds.load import Load
from lab.stage.kinds.pillar import Pillar
from lab.stage.kinds.request import Request
from lab.stage.kinds.shell import Shell
from lab.stage.kinds.slide import Slide

KINDS: Final[dict[str, type[Kind]]] = {
    "request": Request,
    "load": Load,
    "build": Build,
    "attach": Attach,
    "pillar": Pillar,
    "command": Command,
    "slide": Slide,
    "shell": Shell,
}
