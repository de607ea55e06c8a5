"""What is wanted, as frozen values: the only home of a default and of a key's help text.

JSON Schema, the commented sample and the reference page are generated from here (`help` metadata).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

from lab.model.errors import ConfigError
from lab.model.machine import HOST_ARCH, Arch, MachineSpec
from lab.model.paths import is_name

Profile = Literal["stage", "quick", "rehearsal", "full"]
BuildWhere = Literal["auto", "host", "guest"]


def key(default: Any, help_text: str) -> Any:
    """A config key: its default and the sentence shown in help, schema and reference."""
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: default, metadata={"help": help_text})
    return field(default=default, metadata={"help": help_text})


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().resolve()) if path else ""


def default_name(provider: str) -> str:
    """What a provider's machine is called where nobody named it: each has its own, so that they live side by side."""
    return "lab" if provider == "qemu" or not is_name(f"lab-{provider}") else f"lab-{provider}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineConfig:
    """`machine:` in lab.yaml."""

    name: str = key("", "name of the machine; default: lab for qemu, lab-PROVIDER for the others")
    provider: str = key("qemu", "what makes the machine: see `lab providers`")
    image: str = key("debian-12", "image recipe")
    cpus: int = key(2, "virtual CPUs")
    memory_mib: int = key(2048, "memory of the machine, MiB")
    disk_gib: int = key(16, "size of the machine's disk, GiB (grows as it is used)")
    accel: str = key("auto", "auto (chosen by trying), kvm, hvf, whpx or tcg")
    arch: str = key("auto", "x86_64, aarch64; auto: this host's own")
    source: str = key("", "URL or path of a cloud image, golden image or box, instead of making one")
    digest: str = key("", "sha256:HEX or sha512:HEX of that source; a source without one is refused")
    kernel: str = key("", "qemu: a kernel of your own (vmlinux or bzImage), instead of the image's")
    modules: str = key("", "qemu: folder lib/modules/VERSION that belongs to that kernel")
    driver: str = key("", "vagrant: libvirt or virtualbox; lima: vz or qemu; default: what this host has")
    address: str = key("", "ssh: [USER@]HOST[:PORT] or a name from ~/.ssh/config")
    identity: str = key("", "ssh: private key file; default: what OpenSSH would take")
    allow_host_changes: bool = key(default=False, help_text="ssh: may the playbook change that host (undone by down)")
    region: str = key("", "aws: region; default: the account's own setting")
    instance: str = key("", "aws: instance type")
    ansible: str = key(
        "auto", "where the playbook runs, if not baked in: host, guest; auto: guest on Windows, else host"
    )

    def spec(self) -> MachineSpec:
        """Raises ConfigError for an architecture that we do not know."""
        arch = HOST_ARCH if self.arch == "auto" else next((one for one in get_args(Arch) if one == self.arch), None)
        if arch is None:
            known = ", ".join(get_args(Arch))
            raise ConfigError(f"no architecture is called {self.arch}", fix=f"machine.arch: auto, {known}")
        if self.ansible not in ("auto", "host", "guest"):
            raise ConfigError(f"Ansible runs nowhere called {self.ansible}", fix="machine.ansible: auto, host or guest")
        # the machine outlives the folder in which it was asked for
        files = {name: _absolute(getattr(self, name)) for name in ("kernel", "modules")}
        given = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return MachineSpec(**given | files | {"arch": arch, "name": self.name or default_name(self.provider)})


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoConfig:
    """`demo:` in lab.yaml."""

    scenario: str = key("shop", "what a demo does: a name in demo/scenarios or a path")
    forms: tuple[str, ...] = key(("baseline", "twin", "orchestrion-otel", "ebpf"), "forms to compare")
    profile: str = key("auto", "stage, quick, rehearsal, full; auto: stage under emulation, else quick")
    seed: int = key(1, "seed of order, arrivals and data")
    topology: str = key("auto", "all (one process) or split (one process per service); auto: the scenario's")
    rate_rps: float = key(0.0, "requests per second; 0: the scenario's own for this kind of machine")
    build: str = key("auto", "where forms are built: host, guest; auto: host on Linux or for an emulated guest")


_MACHINE: Final = MachineConfig()
_DEMO: Final = DemoConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole of lab.yaml."""

    machine: MachineConfig = key(_MACHINE, "the machine to provision")  # noqa: RUF009 - a frozen value
    demo: DemoConfig = key(_DEMO, "the demo to run")  # noqa: RUF009 - a frozen value
    lock_timeout_s: float = key(600.0, "how long to wait for another lab command, seconds")
