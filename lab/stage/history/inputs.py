"""What a rehearsal rests on. Two rehearsals count together only while all of it is the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Final

from lab import __version__
from lab.flows.request import described
from lab.guest.wire import FormSpec, canonical
from lab.model.facts import MachineFacts
from lab.model.form import Artifact
from lab.model.machine import Machine
from lab.model.run import tool_versions
from lab.stage.show.show import Show
from lab.system import digests

UNKNOWN: Final = ("", "unknown", "None")
READ_BYTES: Final = 64 << 20
LONG: Final = 40  # characters that a sentence shows whole
SHORT: Final = 12  # digits of a digest that it shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Only what is known is in it. `machine`: how it is made and what it is; `forms`: NAME -> build and settings."""

    machine: dict[str, str] = field(default_factory=dict)
    forms: dict[str, str] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)
    show: str  # digest of the show file
    scenario: str = ""  # digest of the scenario file
    service: str = ""  # of the service's description
    beside: dict[str, str] = field(default_factory=dict)  # script beside the show file that a beat runs -> digest
    seed: int
    lab: str = __version__

    @property
    def digest(self) -> str:
        return hashlib.sha256(canonical(self)).hexdigest()[:16]

    def parts(self) -> dict[str, str]:
        """Every input by the name under which a sentence tells of it."""
        return {
            **{name.replace("_", " "): value for name, value in self.machine.items()},
            **{f"form {name}": value for name, value in self.forms.items()},
            **{f"tool {name}": value for name, value in self.tools.items()},
            "show file": self.show,
            **({"scenario file": self.scenario} if self.scenario else {}),
            **({"service description": self.service} if self.service else {}),
            **{f"script {name}": value for name, value in self.beside.items()},
            "seed": str(self.seed),
            "lab": self.lab,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class HostInputs:
    """The part of them that needs no machine to be known; fields as those of Inputs."""

    show: str
    scenario: str
    service: str
    beside: dict[str, str]
    seed: int
    lab: str = __version__

    def on(self, then: Inputs | None) -> Inputs:
        """With the rest as it was then: in that no difference is seen."""
        then = then or Inputs(show=self.show, seed=self.seed)
        return replace(then, **{one.name: getattr(self, one.name) for one in fields(self)})


def of_host(show: Show) -> HostInputs:
    """As this host knows them now. Raises ConfigError where a file of the scenario cannot be read any more."""
    now = described(show.asked)
    return HostInputs(
        show=show.digest, scenario=now.scenario, service=now.service, beside=_beside(show), seed=show.keys.seed
    )


def _beside(show: Show) -> dict[str, str]:
    """The programs and scripts beside the show file that its commands run."""
    named = {script for beat in show.beats if (script := beat.does.script)}
    return {name: _content(show.folder / name) for name in sorted(named) if _is_file(show.folder / name)}


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # no file can be called so
        return False


def _content(path: Path) -> str:
    """Its digest; of a film its size, since a check has no time to read it."""
    try:
        size = path.stat().st_size
        return digests.of_file(path) if size <= READ_BYTES else f"{size} bytes"
    except OSError:
        return "cannot be read"


def of(
    found: Machine,
    facts: MachineFacts,
    forms: Mapping[str, FormSpec],
    artifacts: Iterable[Artifact],
    host: HostInputs,
) -> Inputs:
    """`facts`: the facts that the machine reported."""
    machine = {"provider": found.spec.provider, "acceleration": found.accel, "clock": found.clock}
    machine |= facts.hardware
    known = Inputs(
        machine={name: value for name, value in machine.items() if value not in UNKNOWN},
        forms={name: _identity(spec) for name, spec in forms.items()},
        tools=tool_versions(artifacts),
        show=host.show,
        seed=host.seed,
    )
    return host.on(known)


def _identity(spec: FormSpec) -> str:
    """By what a form is known again: program, agent, and the settings of both with the spans that are expected."""
    program = spec.build_id or spec.sha256
    agent = f" with agent {spec.agent.sha256}" if spec.agent else ""
    return f"{program}{agent}, all {hashlib.sha256(canonical(spec)).hexdigest()}"


def differences(rehearsed: Inputs, now: Inputs) -> tuple[str, ...]:
    """What is another one now, each as one clause: "kernel: 6.1.0-29 in rehearsal, 6.1.0-31 now"."""
    before, after = rehearsed.parts(), now.parts()
    return tuple(
        f"{name}: {_shown(before.get(name), after.get(name))}"
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    )


def _shown(before: str | None, after: str | None) -> str:
    """Both values; long ones from where they differ."""
    if before is None:
        return f"not in rehearsal, {_cut(after or '', 0)} now"
    if after is None:
        return f"{_cut(before, 0)} in rehearsal, none now"
    start = 0
    if max(len(before), len(after)) > LONG:
        start = next((at for at, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), 0)
    return f"{_cut(before, start)} in rehearsal, {_cut(after, start)} now"


def _cut(value: str, start: int) -> str:
    text = value[start:]
    text = text if len(text) <= LONG else f"{text[:SHORT]}…"
    return f"…{text}" if start else text
