"""What a Go binary was made from: Go's own packages read its table of functions and its debug information."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.model.errors import LabError
from lab.model.lab import Lab
from lab.system import proc
from lab.system.toolchain import Toolchain, build_environment
from lab.system.wait import Deadline

PROGRAM: Final = Path(__file__).with_name("made_of.go")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Module paths and woven files, each None where the binary does not say; see made_of.go."""

    modules: tuple[str, ...] | None = None
    woven: tuple[str, ...] | None = None


def read(lab: Lab, toolchain: Toolchain, binary: Path, deadline: Deadline) -> Sources:
    """Have this Go look into the binary; the program that looks is compiled once."""
    # GO111MODULE: whatever module this file may lie in is none of its own
    env = build_environment(lab, GO111MODULE="off", GOCACHE=toolchain.build_cache(lab))
    argv = [toolchain.go, "run", "-trimpath", str(PROGRAM), str(binary)]  # as forms are built: one standard library
    said = proc.check(argv, deadline=deadline, error=LabError, fix="install lab again", env=env)
    found = json.loads(said.stdout)
    return Sources(**{name: None if listed is None else tuple(listed) for name, listed in found.items()})
