"""Resolves an address to host, port, user, identity and host key.

OpenSSH's configuration decides: `ssh -G` where it is installed, else the user's ~/.ssh/config. The host key is taken
from known_hosts once, when the machine is first used; an unknown one is never trusted silently.
"""

from __future__ import annotations

import getpass
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.model.errors import ConfigError, PreconditionError, SecurityStop
from lab.model.lab import Lab
from lab.model.machine import MachineSpec
from lab.remote import hostkeys
from lab.system import proc
from lab.system.wait import Deadline

ASK_S: Final = 20.0
# the keys that OpenSSH tries by default
DEFAULTS: Final = frozenset(
    f"id_{kind}" for kind in ("rsa", "dsa", "ecdsa", "ecdsa_sk", "ed25519", "ed25519_sk", "xmss")
)
USER_CONFIG: Final = Path("~/.ssh/config")
KNOWN_HOSTS: Final = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
SYSTEM_KNOWN_HOSTS: Final = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
_ADDRESS: Final = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^@:\s\[\]]+))(?::(?P<port>[0-9]{1,5}))?"
)
EXAMPLE: Final = "use --address friend@host.example:22, or a name from ~/.ssh/config"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address as given; None for omitted parts."""

    host: str
    user: str | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Host, port and login. `identity`: None for the agent and default keys. `alias`: the name in known_hosts."""

    host: str
    port: int
    user: str
    identity: Path | None
    alias: str
    known_hosts: tuple[Path, ...]

    @property
    def name(self) -> str:
        return hostkeys.known_hosts_name(self.alias, self.port)

    @property
    def by_hand(self) -> str:
        """The ssh command for a person."""
        port = "" if self.port == 22 else f"-p {self.port} "
        return f"ssh {port}{self.user}@{self.host}"


def parse(text: str) -> Address:
    """[USER@]HOST[:PORT], an IPv6 address in brackets. Raises ConfigError."""
    found = _ADDRESS.fullmatch(text)
    host = "" if found is None else found["six"] or found["host"]
    port = None if found is None or found["port"] is None else int(found["port"])
    wrong_port = port is not None and port not in range(1, 65536)
    # ssh would read a leading dash as an option
    if found is None or host.startswith("-") or (found["user"] or "").startswith("-") or wrong_port:
        message = f"{text!r} is not a valid address" if text else "the ssh provider needs an address"
        raise ConfigError(message, fix=EXAMPLE)
    return Address(host=host, user=found["user"], port=port)


def route(lab: Lab, spec: MachineSpec) -> Route:
    """Resolve it by OpenSSH's configuration. Raises ConfigError, PreconditionError (behind a jump host)."""
    address = parse(spec.address)
    options = _ask_openssh(lab, address) if proc.which("ssh") is not None else _read_config(address)
    return choose(address, options, Path(spec.identity).expanduser() if spec.identity else None)


def choose(address: Address, options: Mapping[str, Sequence[str]], identity: Path | None) -> Route:
    """A route from the address and the configuration's options (`ssh -G`: option -> values)."""
    jumps = (options.get(key, ["none"])[0] for key in ("proxyjump", "proxycommand"))
    jump = next((jump for jump in jumps if jump != "none"), None)
    host = options.get("hostname", [address.host])[0]
    port = address.port or int(options.get("port", ["22"])[0])
    if jump is not None:
        message = f"lab does not support jump hosts: {address.host} is reached through {jump}"
        raise PreconditionError(message, fix=f"run ssh -L 2222:{host}:{port} {jump}, and use --address 127.0.0.1:2222")
    named = [Path(name).expanduser().absolute() for name in options.get("identityfile", ())]
    own = [path for path in named if path.name not in DEFAULTS and path.is_file()]
    files = [name for key in ("userknownhostsfile", "globalknownhostsfile") for name in options.get(key, ())]
    return Route(
        host=host,
        port=port,
        user=address.user or options.get("user", [getpass.getuser()])[0],
        identity=identity or next(iter(own), None),
        alias=options.get("hostkeyalias", [host])[0],
        known_hosts=tuple(Path(name).expanduser() for name in files or (*KNOWN_HOSTS, *SYSTEM_KNOWN_HOSTS)),
    )


def parse_openssh(text: str) -> dict[str, list[str]]:
    """The output of `ssh -G`: one option a line; known hosts files are several words of one line."""
    options: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        # unquoted: a name with spaces looks like several names, so all readings are tried
        words = dict.fromkeys([value, *value.split()]) if name.endswith("knownhostsfile") else [value]
        options.setdefault(name.lower(), []).extend(words)
    return options


def pin(where: Route, shown: str) -> str:
    """The host key to pin: the server's, if the user's known_hosts has it. Raises SecurityStop."""
    known = hostkeys.known("\n".join(_text(path) for path in where.known_hosts), where.name)
    mark = hostkeys.fingerprint(shown)
    if shown in known.revoked:
        raise SecurityStop(f"the host key of {where.name} is revoked ({mark})", fix="ask the machine's owner")
    if shown in known.keys:
        return shown
    if known.keys:
        expected = ", ".join(hostkeys.fingerprint(key) for key in known.keys)
        message = f"the host key of {where.name} does not match known_hosts: {mark}, not {expected}"
        fix = f"ask its owner; if it was reinstalled: ssh-keygen -R '{where.name}', then {where.by_hand}"
        raise SecurityStop(f"{message}; nothing was sent", fix=fix)
    raise SecurityStop(
        f"{where.name} is not in known_hosts; its host key is {shown.split(maxsplit=1)[0]} {mark}; nothing was sent",
        fix=f"compare the key with its owner, then accept it once: {where.by_hand}",
    )


def kinds(where: Route) -> list[str]:
    """The types of its host keys in known_hosts."""
    known = hostkeys.known("\n".join(_text(path) for path in where.known_hosts), where.name)
    return [key.split()[0] for key in known.keys]


def _ask_openssh(lab: Lab, address: Address) -> dict[str, list[str]]:
    argv = [proc.require_tool("ssh"), "-G"]
    argv += [] if address.user is None else ["-l", address.user]
    argv += [] if address.port is None else ["-p", str(address.port)]
    result = proc.run([*argv, "--", address.host], deadline=Deadline.after(ASK_S, lab.cancel))
    if not result.ok:
        raise ConfigError(f"ssh -G failed for {address.host}: {result.tail()}", fix=EXAMPLE)
    return parse_openssh(result.text())


def _read_config(address: Address) -> dict[str, list[str]]:
    from lab.remote import ssh_login

    return ssh_login.lookup(USER_CONFIG.expanduser(), address.host)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
