"""The sources of a Go binary: Go's own packages read its function table and its debug information."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.model.errors import DemoError
from lab.model.lab import Lab
from lab.system import proc
from lab.system.toolchain import Toolchain, build_environment
from lab.system.wait import Deadline

PROGRAM: Final = Path(__file__).with_name("made_of.go")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Module paths and woven files, each None when unknown; see made_of.go."""

    modules: tuple[str, ...] | None = None
    woven: tuple[str, ...] | None = None


def read(lab: Lab, toolchain: Toolchain, binary: Path, deadline: Deadline) -> Sources:
    """Read the binary with a small Go program, which is compiled once."""
    # GO111MODULE: ignore any module that contains this file
    env = build_environment(lab, GO111MODULE="off", GOCACHE=toolchain.build_cache(lab))
    argv = [toolchain.go, "run", "-trimpath", str(PROGRAM), str(binary)]  # as forms are built: one standard library
    result = proc.check(argv, deadline=deadline, error=DemoError, fix="reinstall lab", env=env)
    found = json.loads(result.stdout)
    return Sources(**{name: None if listed is None else tuple(listed) for name, listed in found.items()})
