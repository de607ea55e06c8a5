"""Ansible inside the machine: for hosts without Ansible (Windows), and by choice anywhere.

The machine needs Python 3.11 or newer and no package index: the locked wheels for its Python are fetched by this host
and copied with the playbooks into one folder, which is removed afterwards.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import secrets
import shlex
import shutil
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lab.machines.provisioning import playbook
from lab.model.errors import PreconditionError, ProvisioningError, TransientError
from lab.model.lab import Lab
from lab.remote.base import Transport
from lab.system import locks, resources, store, wheels
from lab.system.wait import Deadline

PLATFORM: str = sys.platform  # as text: what is decided by it is decided on every platform
PINS: Final = Path(__file__).parent / "ansible-pins.txt"
OLDEST: Final = (3, 11)  # for the older ansible-core of the lock
NEWER: Final = (3, 12)  # for the newer one
FETCH_S: Final = 600.0
ASK: Final = "import os, sys; print(*sys.version_info[:2], os.uname().machine)"
# not needed by `ansible playbook`
LEFT_OUT: Final = re.compile(r"(^|/)(bin|ansible_test|ansible/galaxy|__pycache__)/|\.(pyc|pyi)$|^playbooks/init/")
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def inside(wanted: str) -> bool:
    """Whether the playbook runs in the machine. `wanted`: auto, host or guest; auto: where this host has no Ansible."""
    return wanted == "guest" or (wanted == "auto" and PLATFORM == "win32")


def apply(
    lab: Lab,
    link: Transport,
    *,
    tags: Sequence[str],
    log: Path,
    deadline: Deadline,
    variables: Mapping[str, Any] | None = None,
) -> None:
    """As `playbook.apply_over_ssh`, with Ansible run by root in the machine that `link` reaches. Idempotent.

    Raises PreconditionError (the machine's Python is too old), TransientError (wheels not fetched), ProvisioningError
    with the failed task's output.
    """
    target = _python(link, deadline)
    site = _site(lab, target, deadline)
    folder = f"/var/tmp/lab-ansible-{secrets.token_hex(6)}"  # noqa: S108  # private to root by its mode, made by us
    link.put_bytes(packed(site), f"{folder}.tar.gz", deadline, mode=0o600)
    # the trap removes the folder however this ends, unless the machine goes down meanwhile
    script = (
        f"umask 077; trap 'rm -rf {folder} {folder}.tar.gz' EXIT; mkdir {folder} && "
        f"tar -xzf {folder}.tar.gz -C {folder} && cd {folder} && {_command(folder, tags, variables or {})}"
    )
    result = link.run(["sh", "-c", script], deadline, on_line=playbook.teller(lab))
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    store.write_bytes(log, result.stdout + result.stderr)
    if not result.ok:
        message = f"the playbook failed in the machine with exit code {result.code}"
        detail = playbook.failure(result)
        raise ProvisioningError(message, fix="run the command again", detail=detail, log=str(log))


def pins(text: str, python: tuple[int, int]) -> str:
    """The pins for that Python, without their markers: pip would evaluate those for its own Python."""
    kept = []
    for block in re.split(r"^(?=\S)", text, flags=re.MULTILINE):
        marker = re.search(r" ; python_full_version (<|>=) '3\.12'", block)
        if marker is None or (marker[1] == "<") == (python < NEWER):
            kept.append(block.replace(marker[0], "") if marker else block)
    return "".join(kept)


def packed(site: Path) -> bytes:
    """The folder for the machine: the packages (site/) and the playbooks, in a tar without owners."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=6) as tar:
        for top, name in ((site, "site"), (resources.root() / "playbooks", "playbooks")):
            for path in sorted(top.rglob("*")):
                place = path.relative_to(top).as_posix()
                if path.is_file() and not LEFT_OUT.search(place if name == "site" else f"{name}/{place}"):
                    entry = tarfile.TarInfo(f"{name}/{place}")
                    data = path.read_bytes()
                    entry.size, entry.mode = len(data), 0o644
                    tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def _python(link: Transport, deadline: Deadline) -> wheels.For:
    result = link.run([playbook.INTERPRETER, "-I", "-c", ASK], deadline)
    words = result.text().split()
    if not result.ok or len(words) != 3 or not all(word.isdecimal() and len(word) < 4 for word in words[:2]):
        fix = "install python3 in the machine"
        raise PreconditionError("the machine has no Python to run Ansible", fix=fix, detail=result.tail())
    python = (int(words[0]), int(words[1]))
    if python < OLDEST:
        needs = ".".join(map(str, OLDEST))
        message = f"the machine has Python {words[0]}.{words[1]}, Ansible needs {needs} or newer"
        raise PreconditionError(message, fix="use --ansible host (from Linux, macOS or WSL), or a newer image")
    return wheels.For(python=python, arch=words[2])


def _site(lab: Lab, target: wheels.For, deadline: Deadline) -> Path:
    """The packages for that Python, from the cache or fetched once."""
    wanted = pins(PINS.read_text(encoding="utf-8"), target.python)
    key = f"{'.'.join(map(str, target.python))}-{target.arch}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    site = lab.paths.cache / "ansible" / f"site-{key}"
    with locks.hold(site.with_suffix(".lock"), what="Ansible's packages", deadline=deadline.sooner(FETCH_S)):
        if site.is_dir():
            return site
        with lab.bus.step("ansible", "fetch Ansible for the machine"):
            part, lock = site.with_suffix(".part"), site.with_suffix(".txt")
            shutil.rmtree(part, ignore_errors=True)
            store.write_text(lock, wanted)
            result = wheels.install(lock, part, deadline.sooner(FETCH_S), other=target)
            if not result.ok:
                fix = "check the network, then run the command again"
                raise TransientError("cannot fetch Ansible's packages", fix=fix, detail=result.tail())
            part.rename(site)
    return site


def _command(folder: str, tags: Sequence[str], variables: Mapping[str, Any]) -> str:
    given = playbook.settings(f"{folder}/home", f"{folder}/playbooks") | {
        "HOME": f"{folder}/home",
        "PATH": PATH,
        "PYTHONPATH": f"{folder}/site",
    }
    given_vars = json.dumps({"ansible_python_interpreter": playbook.INTERPRETER, **variables}, sort_keys=True)
    argv = ["env", "-i", *(f"{name}={text}" for name, text in sorted(given.items())), playbook.INTERPRETER, "-m"]
    argv += ["ansible", "playbook", "--tags", ",".join(tags), "--extra-vars", given_vars]
    argv += [f"{folder}/playbooks/machine.yml", "--connection", "local", "--inventory", "machine,"]
    config = f"mkdir {folder}/home && echo '[defaults]' > {folder}/home/ansible.cfg"
    return f"{config} && {shlex.join(argv)}"
