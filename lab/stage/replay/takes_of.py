"""The takes of a show: those of the machine that is named, else of the only one that has any; all of one version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.machines import naming
from lab.model.errors import Unreadable, UsageError
from lab.model.lab import Lab
from lab.model.names import file_name_fault
from lab.stage.history import takes
from lab.stage.history.takes import Take

LEFT_OUT: Final = "left out: "


def folder(lab: Lab, show: str) -> Path | None:
    """The folder with the takes of this show, None where no machine has any. The machine itself may be gone.

    Raises UsageError when several machines have some and none of them is the default one, or the named one has none.
    """
    if file_name_fault(show):
        return None
    stage = lab.paths.stage("")
    at = {path.parents[1].name: path for path in sorted(stage.glob(f"*/{show}/{takes.FOLDER}")) if path.is_dir()}
    name = lab.config.machine.name
    if not name and len(at) == 1:
        return next(iter(at.values()))
    if not at or name in at:
        return at.get(name)
    fix = f"choose one: --name {next(iter(at))}"
    if name:
        raise UsageError(f"machine {name} has no take of {show}; there are some of {', '.join(at)}", fix=fix)
    if (usual := naming.there(lab)) not in at:
        raise UsageError(f"several machines have takes of {show}: {', '.join(at)}", fix=fix)
    return at[usual]


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Takes that make one show. `left_out`: of each other file, why it is not among them."""

    takes: tuple[Take, ...]
    left_out: tuple[str, ...] = ()


def together(paths: Sequence[Path], version: str = "") -> Together:
    """The takes in these files that are of one version of the show file: that with this digest, else the newest one's.

    A rehearsal replaces the takes of its own beats alone: that of a beat that the show has no more stays where it was.
    Raises Unreadable where none can be read. Without a take of `version` all are left out.
    """
    found: list[Take] = []
    left_out: list[str] = []
    damaged: list[Unreadable] = []
    for path in paths:
        try:
            found.append(takes.load(path))
        except Unreadable as error:
            damaged.append(error)
            left_out.append(f"{LEFT_OUT}{error.message}")
    if not found:
        raise damaged[0]
    now = version or max(found, key=lambda take: take.recorded).inputs.show
    left_out += [
        f"{LEFT_OUT}the take of beat {take.beat} of {take.day}, which is of another version of the show"
        for take in found
        if take.inputs.show != now
    ]
    return Together(takes=tuple(take for take in found if take.inputs.show == now), left_out=tuple(left_out))
