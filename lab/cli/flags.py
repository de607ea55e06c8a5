"""Flags that several verbs share, each one a config key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from lab.model.errors import UsageError

Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="Name of the machine (default: from the config).")]
At = Annotated[str | None, typer.Option("--name", metavar="NAME", help="Name of the machine (in every command).")]
Provider = Annotated[str | None, typer.Option("--provider", help="What makes the machine; see `lab providers`.")]
Image = Annotated[str | None, typer.Option("--image", help="Image recipe.")]
Cpus = Annotated[int | None, typer.Option("--cpus", min=1, max=64, help="Virtual CPUs.")]
Memory = Annotated[int | None, typer.Option("--memory", min=512, metavar="MIB", help="Memory, MiB.")]
Accel = Annotated[str | None, typer.Option("--accel", help="auto, kvm, hvf, whpx or tcg.")]
Arch = Annotated[str | None, typer.Option("--arch", help="x86_64 or aarch64 (default: this host's own).")]
Source = Annotated[str | None, typer.Option("--source", metavar="URL", help="Ready image or box, instead of our own.")]
Digest = Annotated[
    str | None, typer.Option("--digest", metavar="ALGO:HEX", help="Digest of --source (sha256, sha512).")
]
Kernel = Annotated[str | None, typer.Option("--kernel", metavar="FILE", help="qemu: a kernel of your own.")]
Modules = Annotated[str | None, typer.Option("--modules", metavar="DIR", help="qemu: its lib/modules/VERSION.")]
Driver = Annotated[str | None, typer.Option("--driver", help="What vagrant or lima runs it with.")]
Address = Annotated[str | None, typer.Option("--address", metavar="[USER@]HOST[:PORT]", help="ssh: the machine.")]
Identity = Annotated[str | None, typer.Option("--identity", metavar="FILE", help="ssh: private key to log in with.")]
AllowHostChanges = Annotated[
    bool | None,
    typer.Option("--allow-host-changes/--no-host-changes", help="ssh: may the playbook change that host."),
]
Region = Annotated[str | None, typer.Option("--region", help="aws: region.")]
Instance = Annotated[str | None, typer.Option("--instance", metavar="TYPE", help="aws: instance type.")]
Ansible = Annotated[str | None, typer.Option("--ansible", help="Where the playbook runs: auto, host or guest.")]
LockTimeout = Annotated[
    float | None, typer.Option("--lock-timeout", min=0, help="Seconds to wait for another command.")
]
Forms = Annotated[
    str | None, typer.Option("--form", metavar="A,B,…", help="Forms, separated by commas; see `lab forms`.")
]
Scenario = Annotated[str | None, typer.Option("--scenario", metavar="NAME|FILE", help="Whose requests; as in demo.")]
Profile = Annotated[str | None, typer.Option("--profile", help="stage, quick, rehearsal or full.")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of order, arrivals and data.")]
Rate = Annotated[float | None, typer.Option("--rate", min=0.01, help="Requests per second, instead of the scenario's.")]
Topology = Annotated[str | None, typer.Option("--topology", help="all (one process) or split (one per service).")]
Build = Annotated[str | None, typer.Option("--build", help="Where forms are built: auto, host or guest.")]
Service = Annotated[Path | None, typer.Option("--service", help="Folder of your own Go service, with service.yaml.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Answer yes to every question.")]
Run = Annotated[str | None, typer.Argument(metavar="[RUN]", help="Run id or its beginning (default: the newest).")]

MACHINE: Final[dict[str, tuple[str, Any]]] = {
    "provider": ("machine.provider", Provider),
    "image": ("machine.image", Image),
    "cpus": ("machine.cpus", Cpus),
    "memory": ("machine.memory_mib", Memory),
    "accel": ("machine.accel", Accel),
    "arch": ("machine.arch", Arch),
    "source": ("machine.source", Source),
    "digest": ("machine.digest", Digest),
    "kernel": ("machine.kernel", Kernel),
    "modules": ("machine.modules", Modules),
    "driver": ("machine.driver", Driver),
    "address": ("machine.address", Address),
    "identity": ("machine.identity", Identity),
    "allow_host_changes": ("machine.allow_host_changes", AllowHostChanges),
    "region": ("machine.region", Region),
    "instance": ("machine.instance", Instance),
    "ansible": ("machine.ansible", Ansible),
    "lock_timeout": ("lock_timeout_s", LockTimeout),
}
"""What every verb that may make a machine takes: parameter -> config key and option."""


def one_name(by_place: str | None, option: str | None) -> str | None:
    """A machine's name, given in one of two ways. Raises UsageError for two machines."""
    if by_place is not None and option is not None and by_place != option:
        raise UsageError(f"two machines are named: {by_place} and {option}", fix="name one")
    given = option if by_place is None else by_place
    if given == "":
        raise UsageError("'' cannot be a machine's name", fix="leave it out, or use up to 40 of a-z, 0-9 and -")
    return given


def names(text: str | None) -> tuple[str, ...] | None:
    """ "a,b" -> ("a", "b"); None stays None (not given)."""
    if text is None:
        return None
    return tuple(part.strip() for part in text.split(",") if part.strip())
