"""Ansible: applies the playbook to a tree (during an image build) or over SSH (to a machine created elsewhere).

Ansible ignores the settings of the user and the current directory: everything it needs is passed here.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.guest.wire import WireError, load
from lab.machines import guest_answers, keys
from lab.machines.provisioning import namespaces
from lab.model.errors import LabError, ProvisioningError
from lab.model.events import Output
from lab.model.lab import Lab
from lab.model.machine import Finding, SshEndpoint
from lab.remote.base import Transport
from lab.system import proc, resources, store
from lab.system.environment import own_python
from lab.system.wait import Deadline

VERIFY_SCRIPT: Final = "playbooks/roles/machine/files/tree/usr/lib/lab/verify.py"
INTERPRETER: Final = "/usr/bin/python3"
VERIFY_S: Final = 120.0
SSH_OPTIONS: Final = (
    "StrictHostKeyChecking=yes",
    "ForwardAgent=no",
    "ControlMaster=auto",
    "ControlPersist=60s",
)
MASTER: Final = "master"
END_MASTER_S: Final = 10.0


def apply_to_tree(lab: Lab, tree: Path, *, variables: Mapping[str, Any], log: Path, deadline: Deadline) -> None:
    """Apply the playbook's `image` tag to the tree, in private namespaces. Idempotent.

    Raises ProvisioningError with the failed task's output.
    """
    argv = [*_playbook(["image"], variables), "--connection", "tree_chroot", "--inventory", f"{tree},"]
    _play(lab, namespaces.enclosed(tree, argv), log=log, deadline=deadline)


def identity(endpoint: SshEndpoint) -> dict[str, str]:
    """Ansible's variable for this machine's login key; {} when the user's own keys are used."""
    own = endpoint.identity_file
    return {} if own is None else {"ansible_ssh_private_key_file": str(own)}


def apply_over_ssh(
    lab: Lab,
    endpoint: SshEndpoint,
    known_hosts: Path,
    *,
    tags: Sequence[str],
    log: Path,
    deadline: Deadline,
    variables: Mapping[str, Any] | None = None,
) -> None:
    """Apply the playbook to a running machine without a golden image. Idempotent; keeps its boot as it is.

    `known_hosts` holds the pinned key; `variables` replace the playbook's own. Raises
    ProvisioningError with the failed task's output.
    """
    with _own_master() as master:
        own = () if endpoint.identity_file is None else ("IdentitiesOnly=yes",)
        files = (f"UserKnownHostsFile={keys.config_value(known_hosts)}", f"ControlPath={keys.config_value(master)}")
        options = [word for option in (*SSH_OPTIONS, *own, *files) for word in ("-o", option)]
        variables = {
            "ansible_host": endpoint.host,
            "ansible_port": endpoint.port,
            "ansible_user": endpoint.user,
            **identity(endpoint),
            "ansible_ssh_args": shlex.join(["-F", "none", *options]),  # one setting, which Ansible splits again
            "ansible_become": endpoint.user != "root",
            **(variables or {}),
        }
        argv = [*_playbook(tags, variables), "--connection", "ssh", "--inventory", "machine,"]
        _play(lab, argv, log=log, deadline=deadline)


@contextlib.contextmanager
def _own_master() -> Iterator[Path]:
    """The control socket of the connection that Ansible's calls share, closed with the block.

    Ansible's default socket is named by host, port and user: a later machine behind the same port, with another host
    key, would be reached over this one's connection.
    """
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:  # a short one: a socket's path must fit
        master = Path(folder) / MASTER
        try:
            yield master
        finally:
            if master.exists():
                argv = ["ssh", "-F", "none", "-o", f"ControlPath={keys.config_value(master)}", "-O", "exit", "machine"]
                with contextlib.suppress(LabError):
                    proc.run(argv, deadline=Deadline.after(END_MASTER_S))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The results of a machine's checks, and its boot id; `image_id` is "" without a golden image."""

    findings: list[Finding]
    boot_id: str
    image_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    name: str
    ok: bool
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checks:
    """The document that VERIFY_SCRIPT prints."""

    checks: tuple[_Check, ...]
    boot_id: str
    image_id: str = ""


def verify(transport: Transport, deadline: Deadline, *, wait_s: float) -> Verified:
    """Run the machine's checks over a connection: the same file that the playbook's `verify` tag runs.

    They wait up to `wait_s` for a systemd that has just been started.
    Raises ProvisioningError when the machine has no Python to run them, or the output cannot be read.
    """
    script = (resources.root() / VERIFY_SCRIPT).read_bytes()
    argv = [INTERPRETER, "-I", "-S", "-", f"{wait_s:.0f}"]
    result = transport.run(argv, deadline.sooner(VERIFY_S), stdin=script, max_output=guest_answers.MOST_BYTES)
    return parse_verify(result.text(), result.tail())


def parse_verify(text: str, said: str = "") -> Verified:
    """Findings and boot id from the checks' JSON document; `said` is the error's detail when it cannot be read."""
    try:
        answer = load(_Checks, text)
        findings = [
            Finding(
                name=f"machine.{guest_answers.line(check.name)}",
                verdict="ok" if check.ok else "fail",
                message=guest_answers.line(check.message),
                fix="" if check.ok else "lab up (it applies the playbook again)",
            )
            for check in answer.checks
        ]
        image_id = answer.image_id and guest_answers.name(answer.image_id, "image id")
        return Verified(findings=findings, boot_id=guest_answers.name(answer.boot_id, "boot id"), image_id=image_id)
    except WireError as error:
        message = f"cannot read the output of the machine's checks ({error})"
        raise ProvisioningError(message, fix="lab logs", detail=said or text[:400]) from error


def _playbook(tags: Sequence[str], variables: Mapping[str, Any]) -> list[str]:
    given = {"ansible_python_interpreter": INTERPRETER, **variables}
    argv = [sys.executable, "-m", "ansible", "playbook", "--tags", ",".join(tags)]
    return [*argv, "--extra-vars", json.dumps(given, sort_keys=True), str(resources.root() / "playbooks/machine.yml")]


def _play(lab: Lab, argv: Sequence[str], *, log: Path, deadline: Deadline) -> None:
    home = lab.paths.cache / "ansible"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    store.write_text(home / "ansible.cfg", "[defaults]\n")
    result = proc.run(argv, deadline=deadline, env=environment(home), cwd=home, on_line=teller(lab), log=log)
    if not result.ok:
        message = f"the playbook failed with exit code {result.code}"
        raise ProvisioningError(message, fix="run the command again", detail=failure(result), log=str(log))


def environment(home: Path, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ansible's whole environment: ours, without the user's settings, in a UTF-8 locale (it refuses any other)."""
    ours = settings(str(home), str(resources.root() / "playbooks"))
    return own_python(base) | ours


def settings(home: str, playbooks: str) -> dict[str, str]:
    """Ansible's settings wherever it runs: `home` is its own folder, `playbooks` ours there."""
    plugins = f"{playbooks}/plugins"
    return {
        "ANSIBLE_ACTION_PLUGINS": f"{plugins}/action",
        "ANSIBLE_COLLECTIONS_PATH": f"{home}/collections",
        "ANSIBLE_CONFIG": f"{home}/ansible.cfg",
        "ANSIBLE_CONNECTION_PLUGINS": f"{plugins}/connection",
        "ANSIBLE_HOME": home,
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        "ANSIBLE_LIBRARY": f"{plugins}/modules",
        "ANSIBLE_LOCAL_TEMP": f"{home}/tmp",  # noqa: S108  # its own folder
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_REMOTE_TEMP": "/tmp",  # noqa: S108  # the machine's, private to root there; a tmpfs in a tree
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        "ANSIBLE_ROLES_PATH": f"{playbooks}/roles",
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def failure(result: proc.Result) -> str:
    """The part of Ansible's output that shows the failure."""
    lines = result.text().splitlines()
    errors = [line for line in lines if line.startswith(("fatal:", "failed:", "ERROR", "[ERROR]"))]
    return "\n".join(errors) or result.tail()


def teller(lab: Lab) -> Callable[[str], None]:
    """Each line of Ansible's output as an event."""

    def tell(line: str) -> None:
        if line.strip():
            lab.bus.emit(Output(text=line))

    return tell
