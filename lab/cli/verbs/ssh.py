"""`lab ssh`, `exec`, `ssh-config`, `inventory`: reach the machine by hand or from other tools."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Annotated, Final

import typer

from lab.cli import flags
from lab.cli.options import Options, verb
from lab.cli.session import answer, session

EXECUTE_S: Final = 7 * 24 * 3600.0
Argv = Annotated[list[str], typer.Argument(metavar="-- ARGV", help="Command and its arguments.")]


def register(app: typer.Typer) -> None:
    """Add the four verbs."""

    @verb(app, "ssh")
    def ssh(options: Options, name: flags.Name = None) -> int:
        """Open a shell in the machine, with OpenSSH and the pinned key."""
        with session(options, "ssh", {"machine.name": name}) as lab:
            from lab.machines import lifecycle
            from lab.system import proc

            argv = lifecycle.ssh_argv(lab, lab.config.machine.name)
        return proc.passthrough(argv)

    @verb(app, "exec")
    def execute(options: Options, argv: Argv, name: flags.At = None) -> int:
        """Run one command in the machine. Passes on stdin, stdout, stderr and the exit code."""
        from lab.cli import pipes
        from lab.render.jsonl import gone

        # nothing is drawn over what the command prints
        with session(replace(options, plain=True), "exec", {"machine.name": name}) as lab:
            from lab.machines import lifecycle
            from lab.system.wait import Deadline

            with lifecycle.reach(lab, lab.config.machine.name) as link:
                try:
                    code = link.pipe(
                        argv,
                        Deadline.after(EXECUTE_S, lab.cancel),
                        stdin=pipes.given(),
                        out=pipes.sink(sys.stdout),
                        err=pipes.sink(sys.stderr),
                        max_output=None,
                    )
                except OSError as error:
                    if not gone(error):
                        raise
                    return pipes.NOBODY_READS
        return code if code >= 0 else 128 - code

    @verb(app, "ssh-config")
    def ssh_config(options: Options, name: flags.Name = None) -> int:
        """Print an OpenSSH config for the machine (for `ssh -F`)."""
        with session(options, "ssh-config", {"machine.name": name}) as lab:
            from lab.machines import lifecycle

            text = lifecycle.ssh_config(lab, lab.config.machine.name)
        answer(options, {"ssh_config": text}, text.rstrip())
        return 0

    @verb(app, "inventory")
    def inventory(options: Options) -> int:
        """Print every machine as an Ansible inventory (JSON)."""
        with session(options, "inventory") as lab:
            from lab.machines import lifecycle

            doc = lifecycle.inventory(lab)
        import json

        answer(options, doc, json.dumps(doc, indent=1, sort_keys=True))
        return 0
