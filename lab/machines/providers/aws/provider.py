"""EC2: an instance of Debian's image that terminates by itself, found by our tag, reachable only from this host.

It costs money while it runs. Every resource has one tag, so `delete` finds it also after a kill; the region is stored
before anything is created. EC2 is not called while the machine itself answers.
"""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from lab.machines import first_boot
from lab.machines.providers import inspect_ssh
from lab.machines.providers.aws import api as aws_api
from lab.machines.providers.aws import resources as aws_resources
from lab.model.errors import LabError, ProvisioningError, SecurityStop
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.machine import Features, Finding, Handle, MachineSpec, Observed, Seed, SshEndpoint
from lab.model.paths import IDENTITY_FILE
from lab.system import store
from lab.system.documents import Source, read
from lab.system.wait import Deadline, NotYet, until


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsHandle(Handle):
    """As `recover` returns it; the region and address are in FILE."""

    host_key: str


FEATURES: Final = Features(isolated=True, status_by_login=True)
TESTED_WITH: Final = "moto (a mock of EC2's API) only; not run against AWS"
HANDLE: Final = AwsHandle
FILE: Final = "aws.json"  # region, client token, instance, address: written before anything is created
STARTED_S: Final = 300.0
STOPPED_S: Final = 300.0
KNOCK_S: Final = 5.0


def check(lab: Lab, spec: MachineSpec) -> list[Finding]:
    """boto3, region, credential, image, instance type; changes nothing."""
    del lab
    name = "aws.settings"
    try:
        region = aws_api.region(spec.region)
        ec2 = aws_api.client(region)
        name = "aws.account"
        aws_resources.default_vpc(ec2, region)
        name = "aws.image"
        chosen = aws_resources.image(ec2, spec)
        name = "aws.instance"
        aws_resources.fits(ec2, spec)
    except LabError as error:
        return [Finding(name=name, verdict="fail", message=error.message, fix=error.fix)]
    what = f"{aws_resources.instance_type(spec)} with {chosen.get('Name', chosen['ImageId'])} in {region}"
    text = f"{what}; it costs money and terminates by itself after {aws_resources.LIFE_H} h"
    return [Finding(name="aws", verdict="ok", message=text)]


def create(lab: Lab, spec: MachineSpec, seed: Seed, directory: Path) -> AwsHandle:
    """Create one instance, which EC2 starts at once. Idempotent by our tag, also when an earlier answer was lost.

    Raises PreconditionError (credential, quota, no default VPC), ConfigError, LateAnswer (run it again).
    """
    region, kept = aws_api.region(spec.region), _kept(directory)
    if kept.get("region", region) != region:
        delete(lab, recover(seed, spec.name, directory))
        kept = {}
    ec2 = aws_api.client(region)
    found = aws_resources.instances(ec2, seed.machine_id)
    if not found:
        # the token of a terminated instance would return that instance
        token = aws_resources.new_token() if kept.get("instance") or "token" not in kept else kept["token"]
        mine = {"region": region, "machine_id": seed.machine_id}
        store.write_json(directory / FILE, mine | {"token": token})
        # drop the token of a refused request: EC2 would refuse the next request with it too
        refused = partial(store.write_json, directory / FILE, mine)
        found = [aws_resources.run(lab, ec2, spec, seed, token, refused=refused)]
        text = f"the EC2 instance costs money until lab down, for at most {aws_resources.LIFE_H} h"
        lab.bus.emit(Notice(level="info", text=text))
    first = found[0]
    if len(found) > 1:
        first = aws_resources.only_one(lab, ec2, seed.machine_id, kept.get("instance", ""))
    _keep(directory, region=region, instance=first["InstanceId"])
    return recover(seed, spec.name, directory)


def recover(seed: Seed, name: str, directory: Path) -> AwsHandle:
    """FILE has the region; the tag is the machine's id."""
    return AwsHandle(
        provider="aws",
        name=name,
        machine_id=seed.machine_id,
        directory=str(directory),
        accel="none",
        host_key=" ".join(seed.host_key_public.split()[:2]),
    )


def start(lab: Lab, handle: AwsHandle) -> SshEndpoint:
    """Wait until it runs (start it when it was stopped), and allow SSH from this host's current address."""
    directory, region = _where(handle)
    ec2 = aws_api.client(region)

    def probe() -> str | NotYet:
        found = aws_resources.instances(ec2, handle.machine_id)
        if not found:
            raise ProvisioningError(f"EC2 has no instance of machine {handle.name}", fix="lab up")
        state, address = found[0]["State"]["Name"], found[0].get("PublicIpAddress")
        if state == "stopped":
            aws_api.call(ec2, "start_instances", InstanceIds=[found[0]["InstanceId"]])
        if state == "running" and not address:
            fix = "enable public addresses in the default VPC's subnets, then lab down and lab up"
            raise ProvisioningError("the instance has no public address", fix=fix)
        return str(address) if state == "running" else NotYet(reason=f"it is {state}")

    deadline = Deadline.after(STARTED_S, lab.cancel)
    address = until(probe, what="the instance to run", deadline=deadline, hint="lab up", poll_s=aws_resources.POLL_S)
    aws_resources.open_to(ec2, handle.machine_id, aws_api.my_address())
    _keep(directory, address=address)
    return _endpoint(handle, address)


def inspect(lab: Lab, handle: AwsHandle) -> Observed:
    """The machine's answer, else EC2's state. Raises SecurityStop (host key) while EC2 reports the same address."""
    directory, region = _where(handle)
    if not region:
        return Observed(phase="absent", alive=False, reason="never created")
    address, stopped = str(_kept(directory).get("address", "")), None
    if address and _knock(address):
        try:
            answer = inspect_ssh.observed(lab, _endpoint(handle, address), accel="none")
        except SecurityStop as error:
            stopped = error  # EC2 may have given the address to another instance
        else:
            if answer.alive:
                return answer
    try:
        found = aws_resources.instances(aws_api.client(region), handle.machine_id)
    except LabError as error:
        return Observed(phase="unknown", alive=False, reason=error.message)
    if not found:
        reason = f"EC2 has no such instance (it terminates by itself after {aws_resources.LIFE_H} h)"
        return Observed(phase="absent", alive=False, reason=reason)
    return _as_ec2_says(found[0], address, stopped, handle)


def stop(lab: Lab, handle: AwsHandle) -> None:
    """Stop it; its disk is kept, and costs money. Idempotent."""
    directory, region = _where(handle)
    if not region:
        return
    ec2 = aws_api.client(region)
    ids = [found["InstanceId"] for found in aws_resources.instances(ec2, handle.machine_id, ("pending", "running"))]
    if ids:
        aws_api.call(ec2, "stop_instances", InstanceIds=ids)
    _keep(directory, address="")

    def probe() -> bool | NotYet:
        left = aws_resources.instances(ec2, handle.machine_id, ("pending", "running", "stopping"))
        return NotYet(reason="it is still stopping") if left else True

    deadline = Deadline.after(STOPPED_S, lab.cancel)
    until(probe, what="the instance to stop", deadline=deadline, hint="lab down", poll_s=aws_resources.POLL_S)


def delete(lab: Lab, handle: AwsHandle) -> None:
    """Delete instance, disk and security group, by tag. Idempotent; does not call EC2 if nothing was ever created."""
    directory, region = _where(handle)
    if region:
        ec2 = aws_api.client(region)
        kept = _kept(directory)
        if kept.get("token") and not kept.get("instance"):  # requested, and whether it was created is unknown
            with contextlib.suppress(aws_api.LateAnswer):
                aws_resources.only_one(lab, ec2, handle.machine_id)
        aws_resources.remove(lab, ec2, handle.machine_id)
    (directory / FILE).unlink(missing_ok=True)


def _as_ec2_says(found: dict[str, Any], address: str, stopped: SecurityStop | None, handle: AwsHandle) -> Observed:
    state, now = str(found["State"]["Name"]), str(found.get("PublicIpAddress", ""))
    if state in {"stopping", "stopped"}:
        return Observed(phase="stopped", alive=False, reason=f"EC2 says {state}")
    if not now:
        return Observed(phase="running", alive=False, reason=f"EC2 says {state}")
    if now != address:
        return Observed(phase="running", alive=False, reason=f"EC2 says {state}; its address has changed: lab up")
    if stopped is not None:
        raise stopped
    reason = f"EC2 says {state}, but SSH does not answer at {now}:{aws_resources.SSH_PORT}"
    return Observed(phase="running", alive=False, reason=reason, endpoint=_endpoint(handle, now))


def _knock(address: str) -> bool:
    """Whether the SSH port is open: a missing machine is not waited for."""
    with contextlib.suppress(OSError), socket.create_connection((address, aws_resources.SSH_PORT), timeout=KNOCK_S):
        return True
    return False


def _endpoint(handle: AwsHandle, address: str) -> SshEndpoint:
    return SshEndpoint(
        host=address,
        port=aws_resources.SSH_PORT,
        user=first_boot.USER,
        identity_file=Path(handle.directory) / IDENTITY_FILE,
        host_key=handle.host_key,
    )


def _where(handle: AwsHandle) -> tuple[Path, str]:
    """The machine's folder, and its region; "" if nothing was ever created."""
    directory = Path(handle.directory)
    return directory, str(_kept(directory).get("region", ""))


def _kept(directory: Path) -> dict[str, str]:
    """FILE; {} before anything was created. Raises Unreadable: an instance may run, and only FILE names its region."""
    path = directory / FILE
    if not os.path.lexists(path):
        return {}
    fix = f"terminate the instance in EC2's console, remove {path}, then lab down {directory.name}"
    return read(Source(path=path, name=str(path), fix=fix), dict[str, str])


def _keep(directory: Path, **facts: str) -> None:
    store.write_json(directory / FILE, {**_kept(directory), **facts})
