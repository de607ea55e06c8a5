"""`lab up`: a ready machine."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lab.cli import flags
from lab.cli.options import Options, verb
from lab.cli.session import result_line, session


def register(app: typer.Typer) -> None:
    """Add `up`."""

    @verb(app, "up", takes=flags.MACHINE)
    def up(
        options: Options,
        wanted: dict[str, Any],
        name: flags.Name = None,
        plan: Annotated[bool, typer.Option("--plan", help="Print the steps and do nothing.")] = False,
    ) -> int:
        """Create and start a machine with kernel, BPF tools and compilers. Changes nothing when it is ready."""
        with session(options, "up", {"machine.name": name, **wanted}) as lab:
            from lab.machines import lifecycle

            spec = lab.config.machine.spec()
            if plan:
                steps = lifecycle.plan(lab, spec)
                doc = {"command": "up", "exit": 0, "steps": steps}
                text = "\n".join(f"{step['name']}: {step['state']}" for step in steps)
            else:
                made = lifecycle.up(lab, spec, lock_timeout_s=lab.config.lock_timeout_s)
                doc = {
                    "command": "up",
                    "exit": 0,
                    "machine": spec.name,
                    "image": made.image_id,
                    "accel": made.accel,
                    "kernel": "" if made.handle is None else str(made.handle.kernel_release),
                }
                here = made.is_this_host
                hint = f"lab exec --name {spec.name} -- uname -r" if here else f"lab ssh {spec.name}"
                text = f"{spec.name} is ready; try: {hint}"
        result_line(options, doc, text)
        return 0
