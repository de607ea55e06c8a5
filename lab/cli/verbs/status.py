"""`lab status`: the state of each machine now; asks its provider, takes no lock."""

from __future__ import annotations

from typing import Any

import typer

from lab.cli import flags
from lab.cli.options import Options, verb
from lab.cli.session import answer, session


def _line(row: dict[str, Any]) -> str:
    named = {"image": "image", "accel": "acceleration", "kernel": "kernel"}
    facts = [row["reason"], *(f"{word} {row[key]}" for key, word in named.items() if row[key])]
    return f"{row['name']}: {row['phase']} ({', '.join(facts)})"


def register(app: typer.Typer) -> None:
    """Add `status`."""

    @verb(app, "status")
    def status(options: Options, name: flags.Name = None) -> int:
        """Show each machine: phase, reason, image, acceleration, kernel. Exit code 0 also when none runs."""
        with session(options, "status", {"machine.name": name}) as lab:
            from lab.machines import lifecycle

            names = lifecycle.names(lab) if name is None else [name]
            look = lifecycle.glance if name is None else lifecycle.status
            rows = []
            for machine in names:
                state = look(lab, machine)
                rows.append(
                    {
                        "name": machine,
                        "phase": state.phase,
                        "alive": state.alive,
                        "reason": state.reason,
                        "image": state.image_id,
                        "accel": state.accel,
                        "kernel": state.kernel,
                    }
                )
        lines = [_line(row) for row in rows] or ["no machines; create one with lab up"]
        answer(options, {"machines": rows}, "\n".join(lines))
        return 0
