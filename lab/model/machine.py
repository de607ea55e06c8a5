"""Machines as values: what is wanted, what was made, how to reach it, what was seen."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from lab.guest.wire import Range

Arch = Literal["x86_64", "aarch64"]
HOST_ARCH: Final[Arch] = "aarch64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"
GOARCH: Final[dict[Arch, str]] = {"x86_64": "amd64", "aarch64": "arm64"}  # Debian has the same names
Phase = Literal["absent", "created", "running", "hung", "stopped", "broken", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpec:
    """What is wanted. `image` names an image recipe ("debian-12"); `accel` is "auto" or a QEMU accelerator's name.

    What only some providers read is "" elsewhere: see the help of the same keys in `lab.model.config.MachineConfig`.
    """

    name: str = "lab"
    provider: str = "qemu"
    image: str = "debian-12"
    arch: Arch = HOST_ARCH
    cpus: int = 2
    memory_mib: int = 2048
    disk_gib: int = 16
    accel: str = "auto"
    source: str = ""
    digest: str = ""
    kernel: str = ""
    modules: str = ""
    driver: str = ""
    address: str = ""
    identity: str = ""
    allow_host_changes: bool = False
    region: str = ""
    instance: str = ""
    ansible: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """Made by us before anything exists and injected by whatever the provider has. Keys are OpenSSH text."""

    machine_id: str  # 32 hex digits; also the VM's UUID
    host_key_private: Path
    host_key_public: str
    user_key_private: Path
    user_key_public: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SshEndpoint:
    """A machine reached over SSH. `host_key` is the pinned public key ("ssh-ed25519 AAAA…").

    identity_file: None for what the user's agent and default keys open. become: everything runs as root by `sudo -n`.
    """

    host: str
    port: int
    user: str
    identity_file: Path | None
    host_key: str
    become: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSsh:
    """An SshEndpoint as it is written to a file."""

    host: str
    port: Annotated[int, Range(1, 65535)]
    user: str
    identity_file: str | None
    host_key: str
    become: bool = False

    @staticmethod
    def of(endpoint: SshEndpoint) -> StoredSsh:
        identity = None if endpoint.identity_file is None else str(endpoint.identity_file)
        return StoredSsh(**{**asdict(endpoint), "identity_file": identity})

    def endpoint(self) -> SshEndpoint:
        identity = None if self.identity_file is None else Path(self.identity_file)
        return SshEndpoint(**{**asdict(self), "identity_file": identity})


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalEndpoint:
    """This very Linux."""


Endpoint = SshEndpoint | LocalEndpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What a provider can do, as data; callers read a flag, never a provider's name."""

    isolated: bool  # a machine of its own: changing it needs no permission
    snapshots: bool = False
    disks: bool = False
    custom_kernel: bool = False
    ephemeral: bool = False
    starts_ready: bool = False  # what starts it ends only when its SSH has answered: one look is enough
    status_by_login: bool = False  # asking for it costs a login: whoever logs in anyway need not ask before


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """What `create` made: the provider's own facts (JSON values) under its name, stored in machine.json."""

    provider: str
    name: str
    machine_id: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What the provider says now. `alive` = running and its heartbeat or status is fresh; `endpoint` when running.

    `kernel`: the release that it was started with, where the provider starts kernels. `listens`: whether it told that
    its SSH server does; where a machine does not tell, its port is asked.
    """

    phase: Phase
    alive: bool
    reason: str
    endpoint: Endpoint | None = None
    boot_id: str = ""
    image_id: str = ""
    accel: str = ""
    kernel: str = ""
    listens: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one check. `fix` is one command or one edit, empty when ok; `data` for --json."""

    name: str
    verdict: Literal["ok", "warn", "fail"]
    message: str
    fix: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine that exists (or existed): the content of machine.json. Liveness is never stored."""

    spec: MachineSpec
    handle: Handle | None = None
    endpoint: Endpoint | None = None
    image_id: str = ""
    accel: str = ""
    ready_boot_id: str = ""  # the boot in which every step of `up` was last seen done

    @property
    def is_this_host(self) -> bool:
        """Nothing is between it and us: no SSH, no other file system."""
        return isinstance(self.endpoint, LocalEndpoint)
