"""`lab snapshot` and `lab restore`: a machine kept as it is, and back in seconds."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli import flags
from lab.cli.options import Options, verb
from lab.cli.session import result_line, session

AS = "ready"


def register(app: typer.Typer) -> None:
    """Add `snapshot` and `restore`."""

    @verb(app, "snapshot")
    def snapshot(
        options: Options,
        name: flags.Name = None,
        tag: Annotated[str, typer.Option("--as", metavar="TAG", help="What to call it.")] = AS,
        show: Annotated[bool, typer.Option("--list", help="Only say what was kept.")] = False,
        remove: Annotated[bool, typer.Option("--remove", help="Forget TAG.")] = False,
        lock_timeout: flags.LockTimeout = None,
    ) -> int:
        """Keep a ready machine with all that runs in it; `lab restore` brings it back. A second replaces the first."""
        with session(options, "snapshot", {"machine.name": name, "lock_timeout_s": lock_timeout}) as lab:
            from lab.machines import snapshots

            machine = lab.config.machine.name
            if remove:
                snapshots.remove(lab, machine, tag)
            elif not show:
                snapshots.save(lab, machine, tag)
            kept = snapshots.names(lab, machine)
        text = (
            f"{machine} is kept as {tag}; back to it: lab restore {machine}"
            if not (show or remove)
            else ", ".join(kept)
        )
        result_line(options, {"command": "snapshot", "exit": 0, "machine": machine, "snapshots": kept}, text or "none")
        return 0

    @verb(app, "restore")
    def restore(
        options: Options,
        name: flags.Name = None,
        tag: Annotated[str, typer.Option("--from", metavar="TAG", help="What it was kept as.")] = AS,
        no_fallback: Annotated[bool, typer.Option("--no-fallback", help="Fail rather than boot.")] = False,
        lock_timeout: flags.LockTimeout = None,
    ) -> int:
        """Bring a machine back to a snapshot in seconds; where that cannot be, it is booted and that is said."""
        with session(options, "restore", {"machine.name": name, "lock_timeout_s": lock_timeout}) as lab:
            from lab.machines import snapshots

            machine = lab.config.machine.name
            went = snapshots.restore(lab, machine, tag, fallback=not no_fallback)
        doc = {
            "command": "restore",
            "exit": 0,
            "machine": machine,
            "restored": went.restored,
            "reason": went.reason,
            "seconds": round(went.seconds, 2),
            "clock_behind_s": round(went.away_s, 1),
        }
        how = f"restored from {tag}, its clock is {went.away_s:.0f} s behind" if went.restored else "booted instead"
        result_line(options, doc, f"{machine} is ready after {went.seconds:.1f} s: {how}")
        return 0
