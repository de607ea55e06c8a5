"""`lab doctor`: check this host; each finding has one fix."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from lab.cli import flags
from lab.cli.options import Options, verb
from lab.cli.session import answer, session


def register(app: typer.Typer) -> None:
    """Add `doctor`."""

    @verb(app, "doctor", takes=flags.MACHINE)
    def doctor(
        options: Options,
        wanted: dict[str, Any],
        install: Annotated[
            bool, typer.Option("--install", help="Show the commands that install what is missing, then run them.")
        ] = False,
        deep: Annotated[bool, typer.Option("--deep", help="Also verify every cached image and artifact.")] = False,
        yes: flags.Yes = False,
    ) -> int:
        """Check host, provider, forms and caches. Exit code 4 when a check fails."""
        with session(options, "doctor", wanted) as lab:
            from lab.flows import doctor as flow

            if install:
                flow.install(lab, confirm=lambda commands: yes or _ask(commands))
            findings = flow.checks(lab, deep=deep)
        blocked = [f for f in findings if f.verdict == "fail"]
        marks = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}
        lines = []
        for finding in findings:
            lines.append(f"{marks[finding.verdict]}  {finding.name}: {finding.message}")
            if finding.fix and finding.verdict != "ok":
                lines.append(f"      fix: {finding.fix}")
        answer(
            options, {"findings": [dataclasses.asdict(f) for f in findings], "blocked": len(blocked)}, "\n".join(lines)
        )
        return 4 if blocked else 0


def _ask(commands: Sequence[Sequence[str]]) -> bool:
    """Show the commands and ask; without a terminal the answer is no."""
    sys.stderr.write("these commands install what is missing:\n")
    for argv in commands:
        sys.stderr.write(f"  {shlex.join(argv)}\n")
    if not sys.stdin.isatty():
        return False
    sys.stderr.write("Run them? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
