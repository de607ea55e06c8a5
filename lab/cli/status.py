"""`lab status`: what is there now; asks, never remembers, needs no lock."""

from __future__ import annotations

import typer

from lab.cli import flags
from lab.cli.options import Options, verb
from lab.cli.session import answer, session


def register(app: typer.Typer) -> None:
    """Add `status`."""

    @verb(app, "status")
    def status(options: Options, name: flags.Name = None) -> int:
        """Each machine: phase, why, image, acceleration. Exit code 0 also when nothing runs."""
        with session(options, "status", {"machine.name": name}) as lab:
            from lab.machines import lifecycle

            names = [name] if name else lifecycle.names(lab)
            rows = []
            for each in names:
                seen = lifecycle.status(lab, each)
                rows.append(
                    {
                        "name": each,
                        "phase": seen.phase,
                        "alive": seen.alive,
                        "reason": seen.reason,
                        "image": seen.image_id,
                        "accel": seen.accel,
                    }
                )
        lines = [f"{r['name']}: {r['phase']} ({r['reason']})" for r in rows] or ["no machine; lab up makes one"]
        answer(options, {"machines": rows}, "\n".join(lines))
        return 0
