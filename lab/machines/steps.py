"""The steps of `up`: each checks whether it is already done, else journals its intent, acts, and journals the outcome.

The tuple `UP` is the sequence. A step takes and returns a `Machine`; failure is an exception.
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
from lab.model.machine import Features, Finding, Machine, MachineSpec, Observed
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
    """The module of this machine's provider. Raises UsageError for an unknown name."""
    found = PROVIDERS.get(machine.spec.provider)
    if found is None:
        known = ", ".join(sorted(PROVIDERS))
        raise UsageError(f"there is no provider {machine.spec.provider}", fix=f"set machine.provider to one of {known}")
    return found


def observed(lab: Lab, machine: Machine) -> Observed:
    """Its state now; `absent` for a machine that was never created."""
    if machine.handle is None:
        return Observed(phase="absent", alive=False, reason="not created yet")
    return provider_of(machine).inspect(lab, machine.handle)


def ready(machine: Machine, current: Observed) -> bool:
    """Whether every step of `up` was done in the boot that is alive now, from the wanted image."""
    this_boot = machine.ready_boot_id != "" and current.boot_id == machine.ready_boot_id
    return current.alive and this_boot and current.image_id == machine.image_id


def run(lab: Lab, machine: Machine, step: Step, index: int, of: int) -> Machine:
    """One step with its journal, its event and its saved result."""
    with lab.bus.step(step.name, step.title, index=index, of=of) as shown:
        if (reason := step.already(lab, machine)) is not None:
            shown.skip(reason)
            return machine
        with journal.entry(lab, machine.spec.name, "up", step.name):
            return state.save(lab, step.act(lab, machine))


def _running(lab: Lab, machine: Machine) -> str | None:
    current = observed(lab, machine)
    return "already running" if current.phase == "running" else None


def _check_host(lab: Lab, machine: Machine) -> Machine:
    provider, spec = provider_of(machine), machine.spec
    findings = unsupported(spec, provider.FEATURES) or provider.check(lab, spec)
    for found in findings:
        lab.bus.emit(CheckDone(name=found.name, verdict=found.verdict, message=found.message, fix=found.fix))
    raise_failed([found for found in findings if found.verdict == "fail"], PreconditionError)
    return machine


def unsupported(spec: MachineSpec, features: Features) -> list[Finding]:
    """What the spec asks for and the provider cannot do on any host."""
    found = []
    if (spec.kernel or spec.modules) and not features.custom_kernel:
        message = f"provider {spec.provider} does not support a custom kernel (--kernel, --modules)"
        found.append(("kernel", message, "use --provider qemu, or remove these flags"))
    if spec.clock == "counted" and not features.counted:
        message = f"provider {spec.provider} does not support --clock counted"
        found.append(("clock", message, "use --provider qemu, or --clock real"))
    return [Finding(name=name, verdict="fail", message=message, fix=fix) for name, message, fix in found]


def raise_failed(failed: list[Finding], kind: type[LabError]) -> None:
    raise_all((kind(f"{found.name}: {found.message}", fix=found.fix) for found in failed), "several checks failed")


def _made(lab: Lab, machine: Machine) -> str | None:
    """A golden machine that is paused or stopped by a signal is resumed as it is: its disk is in use."""
    current = observed(lab, machine)
    broken = current.phase == "broken" and provider_of(machine).FEATURES.custom_kernel
    return current.reason if broken else "already running" if current.phase == "running" else None


def _image_not_needed(lab: Lab, machine: Machine) -> str | None:
    if not provider_of(machine).FEATURES.custom_kernel:
        return "the provider brings its own system"
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
    # slow to import: load it while the machine starts
    with ThreadPoolExecutor() as pool:
        pool.submit(importlib.import_module, "lab.remote.ssh")
        endpoint = provider_of(machine).start(lab, machine.handle)
    machine = replace(machine, endpoint=endpoint)
    if machine.ssh is not None:
        keys.write_access(lab.paths.machine(machine.spec.name), machine.spec.name, machine.ssh)
    return machine


def _started(lab: Lab, machine: Machine) -> str | None:
    current = observed(lab, machine)
    # a killed `up` may have started it without storing its endpoint: then `start` finds and stores it
    return "already running" if current.phase == "running" and current.endpoint == machine.endpoint else None


def _wait_ready(lab: Lab, machine: Machine) -> Machine:
    assert machine.handle is not None
    directory = lab.paths.machine(machine.spec.name)
    at = machine.ssh
    # cheaper than a login
    if at is not None and provider_of(machine).FEATURES.starts_ready and readiness.ssh_is_up(at, machine.accel):
        return machine
    current = readiness.wait_alive(lab, provider_of(machine), machine.handle, directory)
    if at is not None and not current.listens:  # a probe costs the machine a process
        readiness.wait_banner(lab, at, machine.accel)
    return replace(machine, image_id=machine.image_id or current.image_id, accel=current.accel or machine.accel)


def _no_playbook(_: Lab, machine: Machine) -> str | None:
    provider = provider_of(machine)
    if provider.FEATURES.custom_kernel or machine.image_id:  # a golden image has an id with any provider
        return "baked into the image"
    if provider.FEATURES.isolated or (machine.spec.allow_host_changes and isinstance(provider, Journalled)):
        return None
    return "not applied to a host that is not lab's own"


def _apply_playbook(lab: Lab, machine: Machine) -> Machine:
    if machine.ssh is None:
        raise ProvisioningError("cannot apply the playbook: no SSH endpoint", fix="use another provider")
    known_hosts = lab.paths.machine(machine.spec.name) / KNOWN_HOSTS_FILE
    deadline = Deadline.after(PLAYBOOK_S, lab.cancel)
    log = lab.paths.logs / f"playbook-{machine.spec.name}.log"
    assert machine.handle is not None
    provider = provider_of(machine)
    variables = provider.record(lab, machine.handle) if isinstance(provider, Journalled) else {}
    options: dict[str, Any] = {"tags": ["image", "runtime"], "log": log, "deadline": deadline, "variables": variables}
    if in_guest.inside(machine.spec.ansible):
        directory = lab.paths.machine(machine.spec.name)
        with readiness.open_session(lab, provider, machine.handle, machine.ssh, directory) as link:
            in_guest.apply(lab, link, **options)
    else:
        playbook.apply_over_ssh(lab, machine.ssh, known_hosts, **options)
    return machine


def _verified(lab: Lab, machine: Machine) -> str | None:
    if not machine.ready_boot_id:  # never was ready: do not inspect, which may need a login
        return None
    return "already ready" if ready(machine, observed(lab, machine)) else None


def _verify(lab: Lab, machine: Machine) -> Machine:
    """Log in once: the machine that answers is the one with the heartbeat, and it passes the playbook's checks."""
    assert machine.handle is not None
    assert machine.endpoint is not None
    provider, directory = provider_of(machine), lab.paths.machine(machine.spec.name)
    deadline = Deadline.after(acceleration.scaled_s(VERIFY_S, machine.accel), lab.cancel)
    with readiness.open_session(lab, provider, machine.handle, machine.endpoint, directory) as link:
        if machine.is_this_host:
            boot_id = guest_answers.name(link.run(["cat", BOOT_ID], deadline).text(), "boot id")
        else:
            answer = playbook.verify(link, deadline, wait_s=acceleration.scaled_s(MANAGER_S, machine.accel))
            boot_id = answer.boot_id
            _check_identity(lab, machine, answer)
            _check_kernel(machine, answer.findings)
            _check_findings(lab, machine, answer.findings)
    return replace(machine, ready_boot_id=boot_id)


def _check_identity(lab: Lab, machine: Machine, answer: playbook.Verified) -> None:
    """A golden machine reports image and boot twice, by heartbeat and by login: both must be the same."""
    if not machine.image_id:
        return
    if answer.image_id != machine.image_id:
        message = f"the machine runs image {answer.image_id or 'unknown'}, not {machine.image_id}"
        raise ProvisioningError(message, fix=f"lab down {machine.spec.name}, then lab up")
    current = observed(lab, machine)
    if current.boot_id and current.boot_id != answer.boot_id:
        message = f"SSH reaches boot {answer.boot_id}, the heartbeat comes from boot {current.boot_id}"
        raise ProvisioningError(message, fix="run the command again")


def _check_kernel(machine: Machine, findings: list[Finding]) -> None:
    """`uname -r` in the machine is the release of the kernel that was to be started."""
    assert machine.handle is not None
    wanted = str(machine.handle.kernel_release)
    runs = next((found.message for found in findings if found.name == KERNEL_CHECK), "")
    if wanted and runs != wanted:
        message = f"the machine runs kernel {runs or 'unknown'}, not {wanted}"
        raise ProvisioningError(message, fix=f"lab down {machine.spec.name}, then lab up")


def _check_findings(lab: Lab, machine: Machine, findings: list[Finding]) -> None:
    """A machine that lab created must pass; on another's, failed checks are warnings: most forms need few of them.

    So are the BPF features that a custom kernel lacks.
    """
    failed = [found for found in findings if found.verdict == "fail"]
    tolerated = [found for found in failed if machine.spec.kernel and found.name in BPF_CHECKS]
    for found in tolerated:
        fix = "use a kernel built with it, or forms without eBPF"
        lab.bus.emit(CheckDone(name=found.name, verdict="warn", message=found.message, fix=fix))
    failed = [found for found in failed if found not in tolerated]
    if provider_of(machine).FEATURES.isolated:
        raise_failed(failed, ProvisioningError)
    for found in failed:
        fix = "" if machine.spec.allow_host_changes else "lab down, then lab up --allow-host-changes"
        lab.bus.emit(CheckDone(name=found.name, verdict="warn", message=found.message, fix=fix or "lab doctor"))


UP: Final[tuple[Step, ...]] = (
    Step(name="check_host", title="check this host", already=_running, act=_check_host),
    Step(name="image", title="find or build the golden image", already=_image_not_needed, act=_image),
    Step(name="create", title="create the machine", already=_made, act=_create),
    Step(name="start", title="start the machine", already=_started, act=_start),
    Step(name="wait_ready", title="wait for the machine to boot", already=_verified, act=_wait_ready),
    Step(name="apply_playbook", title="apply the playbook", already=_no_playbook, act=_apply_playbook),
    Step(name="verify", title="verify the machine", already=_verified, act=_verify),
)
