"""`lab status`: what is there now; asks, never remembers, needs no lock."""

from __future__ import annotations

from typing import Any

import typer

from lab.cli import flags
from lab.cli.options import Options, verb
from lab.cli.session import answer, session


def _line(row: dict[str, Any]) -> str:
    kernel = f", kernel {row['kernel']}" if row["kernel"] else ""
    return f"{row['name']}: {row['phase']} ({row['reason']}{kernel})"


def register(app: typer.Typer) -> None:
    """Add `status`."""

    @verb(app, "status")
    def status(options: Options, name: flags.Name = None) -> int:
        """Each machine: phase, why, image, acceleration, kernel. Exit code 0 also when nothing runs."""
        with session(options, "status", {"machine.name": name}) as lab:
            from lab.machines import lifecycle

            names = lifecycle.names(lab) if name is None else [name]
            look = lifecycle.glance if name is None else lifecycle.status
            rows = []
            for each in names:
                seen = look(lab, each)
                rows.append(
                    {
                        "name": each,
                        "phase": seen.phase,
                        "alive": seen.alive,
                        "reason": seen.reason,
                        "image": seen.image_id,
                        "accel": seen.accel,
                        "kernel": seen.kernel,
                    }
                )
        lines = [_line(row) for row in rows] or ["no machine; lab up makes one"]
        answer(options, {"machines": rows}, "\n".join(lines))
        return 0
