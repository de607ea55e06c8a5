"""The first stage of a demo: a ready machine and built forms, before anything is copied into the machine."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from lab import forms
from lab.flows import deliver, guest_build
from lab.flows.left_out import left_out
from lab.flows.request import DemoRequest
from lab.flows.run_parallel import run_parallel
from lab.machines import lifecycle
from lab.model.errors import raise_all
from lab.model.form import Artifact
from lab.model.lab import Lab
from lab.model.machine import Arch, Machine
from lab.model.run import LeftOut


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A machine that is up and artifacts that are built. asked: only with the forms that were built."""

    asked: DemoRequest
    machine: Machine
    artifacts: dict[str, Artifact]
    left_out: tuple[LeftOut, ...]

    @property
    def emulated(self) -> bool:
        return self.machine.accel == "tcg"


def prepare(lab: Lab, asked: DemoRequest) -> Prepared:
    """Prepare both in parallel: one waits mostly for downloads, the other for the compiler."""
    spec = lab.config.machine.spec()
    if guest_build.wanted(lab.config):
        machine = lifecycle.up(lab, spec, lock_timeout_s=lab.config.lock_timeout_s, keep=True)
        if guest_build.there(lab.config, machine):
            with lifecycle.connected(lab, machine) as transport:
                build_machine = guest_build.opened(lab, machine, transport, deliver.guest_root(lab, machine))
                return _prepared(machine, asked, _built(lab, asked, spec.arch, build_machine))
    machine, made = run_parallel(
        lab.cancel,
        lambda: lifecycle.up(lab, spec, lock_timeout_s=lab.config.lock_timeout_s, keep=True),
        lambda: _built(lab, asked, spec.arch, None),
    )
    return _prepared(machine, asked, made)


def _built(lab: Lab, asked: DemoRequest, arch: Arch, build_machine: forms.BuildMachine | None) -> forms.Outcome:
    """Raises the build errors when no form is left to run, or when the baseline is missing."""
    made = forms.attempt(lab, asked.forms, asked.service, arch=arch, machine=build_machine)
    bare = [form.name for form in asked.forms if form.mechanism == "none" and not form.of]
    if len(made.failed) == len(asked.forms):
        raise_all(made.failed.values(), "several builds failed")
    if bare and not made.failed.keys().isdisjoint(bare):
        raise_all((made.failed[name] for name in bare if name in made.failed), "several builds failed")
    return made


def _prepared(machine: Machine, asked: DemoRequest, made: forms.Outcome) -> Prepared:
    able = dataclasses.replace(asked, forms=tuple(form for form in asked.forms if form.name not in made.failed))
    failed = left_out(asked.forms, made.failed)
    return Prepared(asked=able, machine=machine, artifacts=made.artifacts, left_out=failed)
