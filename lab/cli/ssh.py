"""`lab ssh`, `exec`, `ssh-config`, `inventory`: into the machine by hand or from other tools."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lab.cli import flags
from lab.cli.options import Options, verb
from lab.cli.session import answer, session

Argv = Annotated[list[str], typer.Argument(metavar="-- ARGV", help="Command and its arguments.")]
At = Annotated[str | None, typer.Option("--name", help="Name of the machine.")]


def register(app: typer.Typer) -> None:
    """Add the four verbs."""

    @verb(app, "ssh")
    def ssh(options: Options, name: flags.Name = None) -> int:
        """A shell in the machine, over OpenSSH with the pinned host key."""
        with session(options, "ssh", {"machine.name": name}) as lab:
            from lab.machines import lifecycle
            from lab.system import proc

            argv = lifecycle.ssh_argv(lab, lab.config.machine.name)
        return proc.passthrough(argv)

    @verb(app, "exec")
    def execute(options: Options, argv: Argv, name: At = None) -> int:
        """Run one command in the machine, with its output and exit code."""
        with session(options, "exec", {"machine.name": name}) as lab:
            from lab.machines import lifecycle

            result = lifecycle.execute(lab, lab.config.machine.name, argv)
        sys.stdout.buffer.write(result.stdout)
        sys.stdout.flush()
        sys.stderr.buffer.write(result.stderr)
        return result.code if result.code >= 0 else 128 - result.code

    @verb(app, "ssh-config")
    def ssh_config(options: Options, name: flags.Name = None) -> int:
        """The OpenSSH config that reaches the machine (for `ssh -F`)."""
        with session(options, "ssh-config", {"machine.name": name}) as lab:
            from lab.machines import lifecycle

            text = lifecycle.ssh_config(lab, lab.config.machine.name)
        answer(options, {"ssh_config": text}, text.rstrip())
        return 0

    @verb(app, "inventory")
    def inventory(options: Options) -> int:
        """Every machine as an Ansible inventory (JSON)."""
        with session(options, "inventory") as lab:
            from lab.machines import lifecycle

            doc = lifecycle.inventory(lab)
        import json

        answer(options, doc, json.dumps(doc, indent=1, sort_keys=True))
        return 0
