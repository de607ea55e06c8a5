"""Machines as values: their spec, handle, endpoint and observed state."""

from __future__ import annotations

import contextlib
import dataclasses
import platform
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from lab.guest.wire import Range
from lab.model.key import key
from lab.model.paths import is_name

Arch = Literal["x86_64", "aarch64"]
HOST_ARCH: Final[Arch] = "aarch64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"
GOARCH: Final[dict[Arch, str]] = {"x86_64": "amd64", "aarch64": "arm64"}  # Debian has the same names
Clock = Literal["real", "counted"]
INSTRUCTION_NS: Final = 2  # nanoseconds that a counted clock advances per instruction; a power of two (docs/adr)
_AMI: Final = re.compile(r"ami-[0-9a-z]+")  # a source of EC2 is no file
Phase = Literal["absent", "created", "running", "hung", "stopped", "broken", "unknown"]


def default_name(provider: str) -> str:
    """The name of a provider's default machine: one per provider, so that they exist side by side."""
    return "lab" if provider == "qemu" or not is_name(f"lab-{provider}") else f"lab-{provider}"


def _absolute(path: str) -> str:
    """The same file from every folder."""
    if not path:
        return ""
    with contextlib.suppress(RuntimeError):  # ~NAME of no user: told where the file is read
        path = str(Path(path).expanduser())
    return str(Path(path).absolute())


def _resolved(path: str) -> str:
    return str(Path(_absolute(path)).resolve()) if path else ""


def _source(given: str) -> str:
    return given if "://" in given or _AMI.fullmatch(given) else _absolute(given)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineConfig:
    """`machine:` in lab.yaml. Keys of other providers are ""."""

    name: str = key("", "Name of the machine; default: lab for qemu, lab-PROVIDER for the others", flag="")
    provider: str = key("qemu", "Provider of the machine: see `lab providers`")
    image: str = key("debian-12", "Image recipe")
    cpus: int = key(2, "Virtual CPUs", low=1, high=64)
    memory_mib: int = key(2048, "Memory of the machine", low=512, metavar="MIB")
    disk_gib: int = key(16, "Size of the machine's disk (allocated as it is used)", low=1, flag="")
    accel: Literal["auto", "kvm", "hvf", "whpx", "tcg"] = key("auto", "QEMU's accelerator; auto: the first that works")
    clock: Literal["auto", Clock] = key(
        "auto", "What its clock counts; counted: instructions (qemu, emulated, one CPU); auto: counted where emulated"
    )
    arch: Literal["auto", Arch] = key("auto", "Architecture; auto: that of this host")
    source: str = key("", "URL or path of a cloud image, golden image or box, instead of building one", metavar="URL")
    digest: str = key("", "sha256:HEX or sha512:HEX of that source; required with a source", metavar="ALGO:HEX")
    kernel: str = key("", "qemu: your own kernel (vmlinux or bzImage), instead of the image's", metavar="FILE")
    modules: str = key("", "qemu: folder lib/modules/VERSION that belongs to that kernel", metavar="DIR")
    driver: str = key("", "vagrant: libvirt or virtualbox; lima: vz or qemu; default: what this host has")
    address: str = key("", "ssh: [USER@]HOST[:PORT] or a name from ~/.ssh/config", metavar="[USER@]HOST[:PORT]")
    identity: str = key("", "ssh: private key file; default: the one that OpenSSH uses", metavar="FILE")
    allow_host_changes: bool = key(
        default=False,
        text="ssh: permit the playbook to change that host (`lab down` undoes it)",
        flag="--allow-host-changes/--no-host-changes",
    )
    region: str = key("", "aws: region; default: that of the account")
    instance: str = key("", "aws: instance type", metavar="TYPE")
    ansible: Literal["auto", "host", "guest"] = key(
        "auto", "Where Ansible runs the playbook, if the image has it not applied; auto: guest on Windows, else host"
    )

    def spec(self) -> MachineSpec:
        """The spec on this host, with absolute paths: the machine outlives the current folder."""
        files = {
            "kernel": _resolved(self.kernel),
            "modules": _resolved(self.modules),
            "identity": _absolute(self.identity),  # a link stays one: the key behind it may be renewed
            "source": _source(self.source),
        }
        given = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        arch = HOST_ARCH if self.arch == "auto" else self.arch
        return MachineSpec(**given | files | {"arch": arch, "name": self.name or default_name(self.provider)})


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpec(MachineConfig):
    """The complete spec of a machine, except for the accelerator."""

    name: str = "lab"
    arch: Arch = HOST_ARCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """Created before the machine and injected by the provider. Keys are OpenSSH text."""

    machine_id: str  # 32 hex digits; also the VM's UUID
    host_key_private: Path
    host_key_public: str
    user_key_private: Path
    user_key_public: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SshEndpoint:
    """A machine reached over SSH. `host_key` is the pinned public key ("ssh-ed25519 AAAA…").

    identity_file: None for the user's agent and default keys. become: commands run as root by `sudo -n`.
    """

    host: str
    port: int
    user: str
    identity_file: Path | None
    host_key: str
    become: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSsh:
    """An SshEndpoint in a file."""

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
    """This host."""


Endpoint = SshEndpoint | LocalEndpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """The features of a provider; callers read a flag, never a provider's name."""

    isolated: bool  # a disposable machine: changing it needs no permission
    snapshots: bool = False
    disks: bool = False
    custom_kernel: bool = False
    counted: bool = False  # can run a machine whose clock counts instructions
    starts_ready: bool = False  # `start` returns only after SSH has answered: one probe is enough
    status_by_login: bool = False  # its status costs a login: a caller that logs in anyway skips it


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """The result of `create`, stored in machine.json. Each provider adds its own facts (`providers.PROVIDERS`)."""

    provider: str
    name: str
    machine_id: str
    directory: str
    image_id: str = ""
    accel: str = ""
    clock: Clock = "real"
    kernel_release: str = ""  # where the provider starts kernels
    kernel_seen: tuple[int, ...] = ()  # identifies the custom kernel file

    @property
    def made(self) -> bool:
        """Whether `create` finished: a handle from `recover` works only for `inspect`, `stop` and `delete`."""
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The state from the provider. `alive`: running and its heartbeat or status is fresh; `endpoint` when running.

    `kernel`: the release that it was started with, where the provider starts kernels. `listens`: whether the machine
    reported that its SSH server listens; else its port is probed.
    """

    phase: Phase
    alive: bool
    reason: str
    endpoint: Endpoint | None = None
    boot_id: str = ""
    image_id: str = ""
    accel: str = ""
    clock: Clock = "real"
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
    ready_boot_id: str = ""  # the boot in which every step of `up` was last done

    @property
    def clock(self) -> Clock:
        """The kind of its clock."""
        return "real" if self.handle is None else self.handle.clock

    @property
    def is_this_host(self) -> bool:
        """Whether it is this host itself: no SSH, the same file system."""
        return isinstance(self.endpoint, LocalEndpoint)

    @property
    def ssh(self) -> SshEndpoint | None:
        """Its SSH endpoint; None for this host and before the first start."""
        return self.endpoint if isinstance(self.endpoint, SshEndpoint) else None
