"""The steps of `up`: each asks "already so?", else writes its intent, acts, and writes that it is done.

The tuple `UP` is the diagram. A step takes and gives a `Machine`; failure is an exception.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

from lab.machines import guest_answers, journal, keys, readiness, state
from lab.machines.images import golden
from lab.machines.providers import PROVIDERS
from lab.machines.providers.base import Journalled, Provider
from lab.machines.provisioning import in_guest, playbook
from lab.machines.vm import acceleration
from lab.model.errors import LabError, PreconditionError, ProvisioningError, UsageError, raise_all
from lab.model.events import CheckDone
from lab.model.lab import Lab
from lab.model.machine import Finding, Machine, Observed, SshEndpoint
from lab.model.paths import KNOWN_HOSTS_FILE
from lab.system.wait import Deadline

PLAYBOOK_S: Final = 1800.0
VERIFY_S: Final = 30.0
MANAGER_S: Final = 10.0
KERNEL_CHECK: Final = "machine.kernel"
BPF_CHECKS: Final = {"machine.btf", "machine.probes", "machine.tracepoints"}
BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`already` gives a reason to skip, or None; `act` does it."""

    name: str
    title: str
    already: Callable[[Lab, Machine], str | None]
    act: Callable[[Lab, Machine], Machine]


def provider_of(machine: Machine) -> Provider:
    """The module that makes this machine. Raises UsageError for a name that is not in the table."""
    found = PROVIDERS.get(machine.spec.provider)
    if found is None:
        known = ", ".join(sorted(PROVIDERS))
        raise UsageError(f"no provider is called {machine.spec.provider}", fix=f"machine.provider: one of {known}")
    return found


def observed(lab: Lab, machine: Machine) -> Observed:
    """What is there now; `absent` for a machine that was never made."""
    if machine.handle is None:
        return Observed(phase="absent", alive=False, reason="not made yet")
    return provider_of(machine).inspect(lab, machine.handle)


def ready(machine: Machine, seen: Observed) -> bool:
    """Whether every step of `up` was done in the very boot that is alive now, from the image that was meant."""
    this_boot = machine.ready_boot_id != "" and seen.boot_id == machine.ready_boot_id
    return seen.alive and this_boot and seen.image_id == machine.image_id


def run(lab: Lab, machine: Machine, step: Step, index: int, of: int) -> Machine:
    """One step with its journal, its event and its saved result."""
    with lab.bus.step(step.name, step.title, index=index, of=of) as told:
        if (reason := step.already(lab, machine)) is not None:
            told.skip(reason)
            return machine
        with journal.entry(lab, machine.spec.name, "up", step.name):
            return state.save(lab, step.act(lab, machine))


def _running(lab: Lab, machine: Machine) -> str | None:
    seen = observed(lab, machine)
    return "it runs" if seen.phase == "running" else None


def _check_host(lab: Lab, machine: Machine) -> Machine:
    provider, spec = provider_of(machine), machine.spec
    if (spec.kernel or spec.modules) and not provider.FEATURES.custom_kernel:
        message = f"machines of the provider {spec.provider} start their own kernel: --kernel and --modules do nothing"
        raise PreconditionError(message, fix="use --provider qemu, or leave them out")
    if spec.clock == "counted" and not provider.FEATURES.counted:
        message = f"machines of the provider {spec.provider} have no clock that counts instructions"
        raise PreconditionError(message, fix="use --provider qemu, or --clock real")
    findings = provider.check(lab, spec)
    for found in findings:
        lab.bus.emit(CheckDone(name=found.name, verdict=found.verdict, message=found.message, fix=found.fix))
    raise_failed([found for found in findings if found.verdict == "fail"], PreconditionError)
    return machine


def raise_failed(failed: list[Finding], kind: type[LabError]) -> None:
    raise_all((kind(f"{found.name}: {found.message}", fix=found.fix) for found in failed), "several checks failed")


def _made(lab: Lab, machine: Machine) -> str | None:
    """A machine of an image that is paused or stopped by a signal goes on as it is: its disk is in use."""
    seen = observed(lab, machine)
    broken = seen.phase == "broken" and provider_of(machine).FEATURES.custom_kernel
    return seen.reason if broken else "it runs" if seen.phase == "running" else None


def _image_not_needed(lab: Lab, machine: Machine) -> str | None:
    if not provider_of(machine).FEATURES.custom_kernel:
        return "this provider brings its own system"
    return _made(lab, machine)


def _image(lab: Lab, machine: Machine) -> Machine:
    golden.ensure(lab, machine.spec)
    return replace(machine, image_id=golden.bootable(lab, machine.spec).id)


def _create(lab: Lab, machine: Machine) -> Machine:
    directory = lab.paths.machine(machine.spec.name)
    handle = provider_of(machine).create(lab, machine.spec, keys.seed(directory), directory)
    image_id = handle.image_id or machine.image_id
    accel = handle.accel
    return replace(machine, handle=handle, image_id=image_id, accel=accel, ready_boot_id="")


def _start(lab: Lab, machine: Machine) -> Machine:
    assert machine.handle is not None
    # slow to load, and now is time: a machine starts, and another tool or a process of its own is waited for
    with ThreadPoolExecutor() as pool:
        pool.submit(importlib.import_module, "lab.remote.ssh")
        endpoint = provider_of(machine).start(lab, machine.handle)
    if isinstance(endpoint, SshEndpoint):
        keys.write_access(lab.paths.machine(machine.spec.name), machine.spec.name, endpoint)
    return replace(machine, endpoint=endpoint)


def _started(lab: Lab, machine: Machine) -> str | None:
    seen = observed(lab, machine)
    # a killed `up` may have started it without noting where: then `start` finds it and notes it
    return "it runs" if seen.phase == "running" and seen.endpoint == machine.endpoint else None


def _wait_ready(lab: Lab, machine: Machine) -> Machine:
    assert machine.handle is not None
    directory = lab.paths.machine(machine.spec.name)
    at = machine.endpoint if provider_of(machine).FEATURES.starts_ready else None
    if isinstance(at, SshEndpoint) and readiness.ssh_is_up(at, machine.accel):  # cheaper than a login
        return machine
    seen = readiness.wait_alive(lab, provider_of(machine), machine.handle, directory)
    if isinstance(machine.endpoint, SshEndpoint) and not seen.listens:  # a look at the port costs the machine a process
        readiness.wait_banner(lab, machine.endpoint, machine.accel)
    return replace(machine, image_id=machine.image_id or seen.image_id, accel=seen.accel or machine.accel)


def _no_playbook(_: Lab, machine: Machine) -> str | None:
    provider = provider_of(machine)
    if provider.FEATURES.custom_kernel or machine.image_id:  # a golden image is known by its id, whoever starts it
        return "baked into the image"
    if provider.FEATURES.isolated or (machine.spec.allow_host_changes and isinstance(provider, Journalled)):
        return None
    return "never on a host that is not ours alone"


def _apply_playbook(lab: Lab, machine: Machine) -> Machine:
    if not isinstance(machine.endpoint, SshEndpoint):
        raise ProvisioningError("this machine has no SSH to provision it over", fix="use another provider")
    known_hosts = lab.paths.machine(machine.spec.name) / KNOWN_HOSTS_FILE
    deadline = Deadline.after(PLAYBOOK_S, lab.cancel)
    log = lab.paths.logs / f"playbook-{machine.spec.name}.log"
    assert machine.handle is not None
    provider = provider_of(machine)
    variables = provider.note(lab, machine.handle) if isinstance(provider, Journalled) else {}
    options: dict[str, Any] = {"tags": ["image", "runtime"], "log": log, "deadline": deadline, "variables": variables}
    if in_guest.inside(machine.spec.ansible):
        directory = lab.paths.machine(machine.spec.name)
        with readiness.open_session(lab, provider, machine.handle, machine.endpoint, directory) as link:
            in_guest.apply(lab, link, **options)
    else:
        playbook.apply_over_ssh(lab, machine.endpoint, known_hosts, **options)
    return machine


def _verified(lab: Lab, machine: Machine) -> str | None:
    if not machine.ready_boot_id:  # never was: no need to ask, which may cost a login
        return None
    return "already ready" if ready(machine, observed(lab, machine)) else None


def _verify(lab: Lab, machine: Machine) -> Machine:
    """Log in once: the machine that answers is the one that beats, and it holds what the playbook promises."""
    assert machine.handle is not None
    assert machine.endpoint is not None
    provider, directory = provider_of(machine), lab.paths.machine(machine.spec.name)
    deadline = Deadline.after(acceleration.scaled_s(VERIFY_S, machine.accel), lab.cancel)
    with readiness.open_session(lab, provider, machine.handle, machine.endpoint, directory) as link:
        if machine.is_this_host:
            boot_id = guest_answers.name(link.run(["cat", BOOT_ID], deadline).text(), "boot id")
        else:
            said = playbook.verify(link, deadline, wait_s=acceleration.scaled_s(MANAGER_S, machine.accel))
            boot_id = said.boot_id
            _check_identity(lab, machine, said)
            _check_kernel(machine, said.findings)
            _check_findings(lab, machine, said.findings)
    return replace(machine, ready_boot_id=boot_id)


def _check_identity(lab: Lab, machine: Machine, said: playbook.Verified) -> None:
    """A golden machine tells its image and its boot in two ways, by heartbeat and by login: they are of one machine."""
    if not machine.image_id:
        return
    if said.image_id != machine.image_id:
        message = f"the machine runs image {said.image_id or 'unknown'}, not {machine.image_id}"
        raise ProvisioningError(message, fix=f"lab down {machine.spec.name}, then lab up")
    seen = observed(lab, machine)
    if seen.boot_id and seen.boot_id != said.boot_id:
        message = f"boot {said.boot_id} answers over SSH, but the heartbeat is of boot {seen.boot_id}"
        raise ProvisioningError(message, fix="run the command again")


def _check_kernel(machine: Machine, findings: list[Finding]) -> None:
    """The kernel that answers is the one that was to be started, by what `uname -r` says there."""
    assert machine.handle is not None
    wanted = str(machine.handle.kernel_release)
    runs = next((found.message for found in findings if found.name == KERNEL_CHECK), "")
    if wanted and runs != wanted:
        message = f"the machine runs kernel {runs or 'unknown'}, not {wanted}"
        raise ProvisioningError(message, fix=f"lab down {machine.spec.name}, then lab up")


def _check_findings(lab: Lab, machine: Machine, findings: list[Finding]) -> None:
    """A machine of ours must pass; of another's, what it lacks is reported: most forms need little of it.

    So is what a kernel of the user's own does not offer to BPF.
    """
    failed = [found for found in findings if found.verdict == "fail"]
    told = [found for found in failed if machine.spec.kernel and found.name in BPF_CHECKS]
    for found in told:
        fix = "a kernel that was built with it, or forms without eBPF"
        lab.bus.emit(CheckDone(name=found.name, verdict="warn", message=found.message, fix=fix))
    failed = [found for found in failed if found not in told]
    if provider_of(machine).FEATURES.isolated:
        raise_failed(failed, ProvisioningError)
    for found in failed:
        fix = "" if machine.spec.allow_host_changes else "lab down, then lab up --allow-host-changes"
        lab.bus.emit(CheckDone(name=found.name, verdict="warn", message=found.message, fix=fix or "lab doctor"))


UP: Final[tuple[Step, ...]] = (
    Step(name="check_host", title="check this host", already=_running, act=_check_host),
    Step(name="image", title="golden image", already=_image_not_needed, act=_image),
    Step(name="create", title="create the machine", already=_made, act=_create),
    Step(name="start", title="start it", already=_started, act=_start),
    Step(name="wait_ready", title="wait until it is up", already=_verified, act=_wait_ready),
    Step(name="apply_playbook", title="apply the playbook", already=_no_playbook, act=_apply_playbook),
    Step(name="verify", title="verify it", already=_verified, act=_verify),
)
