"""All checks in one list, and the commands that install what is missing."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Final

from lab import forms
from lab.flows.request import DemoRequest
from lab.machines import doctor as machines
from lab.model.errors import PreconditionError, raise_all
from lab.model.events import CheckDone, Notice, Output
from lab.model.lab import Lab
from lab.model.machine import Finding
from lab.system import proc
from lab.system.wait import Deadline

INSTALL_S: Final = 1800.0
SUDO: Final = "sudo"
Commands = Sequence[Sequence[str]]


def checks(lab: Lab, *, deep: bool = False) -> list[Finding]:
    """All findings, in the order in which to fix them."""
    with lab.bus.step("doctor", "checks"):
        findings = [*machines.checks(lab, lab.config.machine.spec(), deep=deep), *forms.checks(lab, deep=deep)]
        for finding in findings:
            lab.bus.emit(
                CheckDone(name=finding.name, verdict=finding.verdict, message=finding.message, fix=finding.fix)
            )
    return findings


def install(lab: Lab, *, confirm: Callable[[Commands], bool]) -> None:
    """Run the commands that install missing tools, after `confirm` has shown them. Idempotent."""
    commands = machines.install_commands(lab)
    if not commands:
        return
    needs = [argv[1:] for argv in commands if argv[0] == SUDO]
    if needs and proc.which(SUDO) is None:
        fix = f"run as root: {' && '.join(map(shlex.join, needs))}"
        raise PreconditionError("sudo is not installed, and packages are installed by root", fix=fix)
    if not confirm(commands):
        raise PreconditionError("nothing was installed", fix="lab doctor --install --yes")
    with lab.bus.step("install", "install what is missing"):
        for argv in commands:
            lab.bus.emit(Notice(level="info", text=shlex.join(argv)))
            proc.check(
                argv,
                deadline=Deadline.after(INSTALL_S, lab.cancel),
                error=PreconditionError,
                fix=f"run it by hand: {shlex.join(argv)}",
                on_line=lambda line: lab.bus.emit(Output(text=line)),
            )


def ready_for_demo(lab: Lab, asked: DemoRequest, *, install_missing: bool) -> None:
    """Call before anything starts: raises the failed checks as one error; with `install_missing` it installs first."""
    blocked = _blocking(lab, asked)
    if blocked and install_missing and machines.install_commands(lab):
        install(lab, confirm=lambda _: True)
        blocked = _blocking(lab, asked)
    errors = (PreconditionError(f"{f.name}: {f.message}", fix=f.fix or "lab doctor") for f in blocked)
    raise_all(errors, "this host is not ready")


def _blocking(lab: Lab, asked: DemoRequest) -> list[Finding]:
    del asked  # every form is built with the same tools
    return [finding for finding in checks(lab) if finding.verdict == "fail"]
