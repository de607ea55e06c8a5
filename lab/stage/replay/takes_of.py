"""Where the takes of a show are: those of the machine that is named, else of the only one that has any."""

from __future__ import annotations

from pathlib import Path

from lab.machines import naming
from lab.model.errors import UsageError
from lab.model.lab import Lab
from lab.model.names import file_name_fault
from lab.stage.history import takes


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
