"""What the rest of `lab` does with machines: create and start one, inspect it, connect to it, remove it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

from lab.machines import hang, heal, journal, presence, readiness, removal, state, steps, watch
from lab.machines.providers.base import Disks
from lab.machines.provisioning import playbook
from lab.model.errors import Cancelled, DemoError, LabError, PreconditionError, ProvisioningError, UsageError
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.loading.yamlspec import nearest
from lab.model.machine import Features, Machine, MachineSpec, Observed
from lab.model.paths import HEARTBEAT_LOG, MACHINE_FILE, SSH_CONFIG_FILE
from lab.remote.base import Transport
from lab.system import digests, proc, resources, store
from lab.system.wait import Deadline

CONNECT_S: Final = 120.0


def up(lab: Lab, spec: MachineSpec, *, lock_timeout_s: float, keep: bool = False) -> Machine:
    """A ready machine. Idempotent: a ready one is checked without a login and left as it is.

    A hung one is resumed or restarted; keep: never restarted if it was ready (then Hung is raised).

    Raises PreconditionError, ProvisioningError, UsageError, Locked, SecurityStop, Cancelled; after any of them, or a
    kill, the same call continues from the machine's actual state.
    """
    state.check_files(lab.paths.machine(spec.name))
    with presence.exclusive(lab, spec.name, lock_timeout_s):
        machine = _wanted(lab, spec)
        presence.forget_down(lab, spec.name)
        current = steps.observed(lab, machine)
        if steps.ready(machine, current):
            with lab.bus.step("up", f"machine {spec.name}") as shown:
                shown.skip(f"already ready ({current.reason})")
            return replace(machine, endpoint=current.endpoint or machine.endpoint)
        if step := journal.interrupted(journal.read(lab, spec.name)):
            lab.bus.emit(Notice(level="info", text=f"an earlier command was interrupted in step {step}; continuing"))
        if machine.handle is None:
            removal.forget_others(lab, spec)
        machine = state.save(lab, machine)

        def every_step(machine: Machine) -> Machine:
            for index, step_ in enumerate(steps.UP, start=1):
                machine = steps.run(lab, machine, step_, index, len(steps.UP))
            return machine

        with lab.bus.step("up", f"machine {spec.name}"):
            return heal.healed(lab, machine, current, every_step, keep=keep)


def plan(lab: Lab, spec: MachineSpec) -> list[dict[str, str]]:
    """What `up` would do now: each step with "done" or "to do". Changes nothing."""
    machine = _wanted(lab, spec)
    ready = steps.ready(machine, steps.observed(lab, machine))
    return [
        {"name": step.name, "state": "done" if ready or step.already(lab, machine) is not None else "to do"}
        for step in steps.UP
    ]


def down(lab: Lab, name: str) -> bool:
    """Stop and remove it, from whatever state; only the shared cache stays. False: there was no machine."""
    return removal.down(lab, name)


def status(lab: Lab, name: str) -> Observed:
    """Its state now, by inspecting it; needs no lock."""
    found = state.look(lab, name)
    machine = found.machine
    if machine is None and (found.problem or any(handle.name == name for handle in presence.running(lab))):
        why = f"its creation was interrupted or its state is damaged: {found.problem or f'{MACHINE_FILE} is missing'}"
        return Observed(phase="broken", alive=False, reason=f"{why}; remove it with lab down {name}")
    if machine is None:
        reason = "its creation was interrupted" if name in state.names(lab) else "there is no such machine"
        return Observed(phase="absent", alive=False, reason=reason)
    current = steps.observed(lab, machine)
    if current.alive and not steps.ready(machine, current):
        return replace(current, reason=f"{current.reason}, but not ready: lab up")
    return current


def glance(lab: Lab, name: str) -> Observed:
    """`status` of one of several: an error is its state, so that the others are still shown."""
    try:
        return status(lab, name)
    except Cancelled:
        raise
    except LabError as error:
        return Observed(phase="unknown", alive=False, reason=error.message)


def tell_hang(lab: Lab, name: str) -> None:
    """A warning when the machine hangs; inspects only one with a heartbeat, which needs no login."""
    if (lab.paths.machine(name) / HEARTBEAT_LOG).exists() and (current := glance(lab, name)).phase == "hung":
        lab.bus.emit(Notice(level="warning", text=f"{hang.error(name, current).message} (lab up {name})"))


def known(lab: Lab, name: str) -> None:
    """Raise UsageError when there is neither such a machine nor remains of one."""
    existing = names(lab)
    if lab.paths.machine(name).name not in existing:
        raise UsageError(f"there is no machine {name}{nearest(name, existing)}", fix="lab status")


def names(lab: Lab) -> list[str]:
    return presence.names(lab)


def machine(lab: Lab, name: str) -> Machine | None:
    """The stored machine of that name; its endpoint may be out of date when it does not run."""
    return state.load(lab, name)


def features(machine: Machine) -> Features:
    return steps.provider_of(machine).FEATURES


def attach_disk(lab: Lab, machine: Machine, image: Path, serial: str) -> None:
    """Plug a read-only disk into a running machine. Raises PreconditionError when its provider cannot."""
    provider = steps.provider_of(machine)
    if machine.handle is None or not isinstance(provider, Disks):
        raise PreconditionError(f"machine {machine.spec.name} does not support disks", fix="copy the files instead")
    with lab.bus.step("attach", f"attach {image.name}"):
        provider.attach(lab, machine.handle, image, serial)


def explain_unreachable(lab: Lab, machine: Machine, error: ProvisioningError) -> LabError:
    """Why a machine that was ready is unreachable: it panicked, exited or hangs; else `error` unchanged."""
    if (gone := presence.taken_down(lab, machine)) is not None:
        return gone
    current = steps.observed(lab, machine)
    if machine.is_this_host or current.alive or isinstance(error, hang.Hung):
        return error
    if current.phase == "hung":
        return hang.error(machine.spec.name, current)
    found = readiness.diagnose(current, lab.paths.machine(machine.spec.name), error=error)
    found.fix = "run the command again: it starts the machine and continues"
    return found


def ssh_argv(lab: Lab, name: str) -> list[str]:
    """OpenSSH's command line for a shell in the machine."""
    _reachable(lab, name)
    return [proc.require_tool("ssh"), "-F", str(lab.paths.machine(name) / SSH_CONFIG_FILE), name]


@contextmanager
def reach(lab: Lab, name: str) -> Iterator[Transport]:
    """A connection to a running machine; when it is taken down meanwhile, the error names the command that did it."""
    found = state.load(lab, name)
    if found is None or not found.ready_boot_id or not features(found).status_by_login:
        found = _running(lab, name)
    fix = f"lab up {name}, then run the command again"
    with presence.explained(lab, found, fix), session(lab, found, CONNECT_S) as link:
        yield link


@contextmanager
def connected(lab: Lab, machine: Machine, seconds: float = 60.0) -> Iterator[Transport]:
    """One connection to a machine that was ready; on failure the error says what happened to the machine."""
    if machine.endpoint is None:
        raise DemoError(f"machine {machine.spec.name} has no endpoint", fix="lab up")
    with ExitStack() as stack:
        try:
            link = stack.enter_context(session(lab, machine, seconds))
        except ProvisioningError as error:
            raise explain_unreachable(lab, machine, error) from error
        with presence.explained(lab, machine):
            yield link


def session(lab: Lab, machine: Machine, seconds: float) -> AbstractContextManager[Transport]:
    """One connection to a machine that runs, opened within `seconds`. Raises Hung as soon as it hangs."""
    from lab.remote import connect

    endpoint, handle = machine.endpoint, machine.handle
    assert endpoint is not None
    assert handle is not None
    deadline = Deadline.after(seconds, lab.cancel)
    return watch.session(lab, steps.provider_of(machine), handle, lambda: connect(lab, endpoint, deadline))


def ssh_config(lab: Lab, name: str) -> str:
    _reachable(lab, name)
    return (lab.paths.machine(name) / SSH_CONFIG_FILE).read_text(encoding="utf-8")


def inventory(lab: Lab) -> dict[str, Any]:
    """Ansible's JSON inventory of every machine that has SSH."""
    hosts: dict[str, Any] = {}
    for name in state.names(lab):
        found = state.look(lab, name).machine
        if found is not None and (at := found.ssh) is not None:
            hosts[name] = {
                "ansible_host": at.host,
                "ansible_port": at.port,
                "ansible_user": at.user,
                **playbook.identity(at),
                "ansible_become": at.user != "root",
                "ansible_ssh_common_args": shlex.join(["-F", str(lab.paths.machine(name) / SSH_CONFIG_FILE)]),
            }
    return {"all": {"hosts": hosts}}


def playbook_digest() -> str:
    """SHA-256 over every file of the playbooks by name and content."""
    return digests.of_folder(resources.root() / "playbooks")


def _wanted(lab: Lab, spec: MachineSpec) -> Machine:
    """The stored machine, or a new one. Raises UsageError when the stored one has other settings."""
    found = state.load(lab, spec.name)
    if found is None or found.handle is None:
        return Machine(spec=spec)
    stored, wanted = found.spec.spec(), spec.spec()  # an earlier version kept paths as they were typed
    different = [
        f"{f.name} {getattr(stored, f.name)!r}, wanted {getattr(wanted, f.name)!r}"
        for f in fields(MachineSpec)
        if getattr(stored, f.name) != getattr(wanted, f.name)
        and not (f.name == "clock" and spec.clock in {"auto", found.handle.clock})
    ]
    if spec.kernel and list(found.handle.kernel_seen) != store.file_stamp(Path(spec.kernel)):
        different.append(f"{spec.kernel} has changed")
    if different:
        message = f"machine {spec.name} already exists with {'; '.join(different)}"
        fix = f"choose another --name, or run lab down {spec.name}, then run the command again"
        raise UsageError(message, fix=fix)
    return found


def _running(lab: Lab, name: str) -> Machine:
    stored = state.look(lab, name)
    found = stored.machine
    current = None if found is None else steps.observed(lab, found)
    if current is not None and current.phase == "hung":
        raise hang.error(name, current)
    if found is None or current is None or current.endpoint is None or current.phase == "broken":
        why = (stored.problem or "there is no such machine") if current is None else current.reason
        raise PreconditionError(f"machine {name} does not run: {why}", fix=f"lab up {name}")
    return replace(found, endpoint=current.endpoint)


def _reachable(lab: Lab, name: str) -> None:
    if _running(lab, name).ssh is None:
        raise UsageError(f"machine {name} is this host and has no SSH endpoint", fix="open a shell on this host")
