"""The EC2 resources of a machine, each found by our tag: a security group and one instance.

User data brings the keys, so there is no key pair. Client tokens alone are not relied on: the tag is searched before
and after a request.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Final

from lab.machines import first_boot
from lab.machines.providers.aws import api as aws_api
from lab.machines.providers.aws.api import call
from lab.model.errors import ConfigError, LabError, PreconditionError, ProvisioningError, TransientError
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.machine import Arch, MachineSpec, Seed
from lab.system.wait import Deadline, NotYet, until

TAG: Final = "lab-machine"
DEBIAN: Final = "136693071363"  # Debian's own account: wiki.debian.org/Cloud/AmazonEC2Image
ARCHES: Final[dict[Arch, tuple[str, str]]] = {"x86_64": ("amd64", "x86_64"), "aarch64": ("arm64", "arm64")}
INSTANCES: Final[dict[Arch, str]] = {"x86_64": "m7i.large", "aarch64": "m7g.large"}  # no burstable CPUs
LIFE_H: Final = 8
LIVE_STATES: Final = ("pending", "running", "stopping", "stopped")
SSH_PORT: Final = 22
POLL_S: float = 2.0
LATE_S: float = 60.0  # how long an instance may take to appear under its tag when a request's outcome is unknown
ENDED_S: Final = 300.0
# in /run, so that each boot writes it and starts the timer again; `shutdown -P +N` needs D-Bus, which is not up yet
END: Final = f"""mkdir -p /run/systemd/system
printf '[Service]\\nType=oneshot\\nExecStart=systemctl poweroff\\n' > /run/systemd/system/lab-end.service
printf '[Timer]\\nOnActiveSec={LIFE_H}h\\nAccuracySec=1min\\n' > /run/systemd/system/lab-end.timer
systemctl daemon-reload
systemctl --no-block start lab-end.timer
"""


def user_data(seed: Seed) -> str:
    """A cloud-init boothook, run early at each boot: sets the machine's keys and the timer that ends it."""
    return f"#cloud-boothook\n{first_boot.script(seed)}{END}"


def instance_type(spec: MachineSpec) -> str:
    return spec.instance or INSTANCES[spec.arch]


def instances(ec2: Any, machine_id: str, states: tuple[str, ...] = LIVE_STATES) -> list[dict[str, Any]]:
    """The instances of this machine, the oldest first."""
    filters = [
        {"Name": f"tag:{TAG}", "Values": [machine_id]},
        {"Name": "instance-state-name", "Values": list(states)},
    ]
    answer = call(ec2, "describe_instances", Filters=filters)
    found = [item for group in answer["Reservations"] for item in group["Instances"]]
    return sorted(found, key=lambda item: (item["LaunchTime"], item["InstanceId"]))


def image(ec2: Any, spec: MachineSpec) -> dict[str, Any]:
    """The AMI in --source, else Debian's newest of that release. Raises ConfigError (none, or another arch)."""
    debian, ours = ARCHES[spec.arch]
    if spec.source:
        if not spec.source.startswith("ami-"):
            raise ConfigError(f"{spec.source} is not an AMI id", fix="use --source ami-…, or none")
        found = call(ec2, "describe_images", ImageIds=[spec.source])["Images"]
    else:
        filters = [
            {"Name": "name", "Values": [f"{spec.image}-{debian}-*"]},
            {"Name": "state", "Values": ["available"]},
        ]
        found = call(ec2, "describe_images", Owners=[DEBIAN], Filters=filters)["Images"]
    if not found:
        message = f"EC2 has no image {spec.source or spec.image} in this region"
        raise ConfigError(message, fix="--image debian-12, or --source ami-…")
    newest: dict[str, Any] = max(found, key=lambda image: str(image["CreationDate"]))
    if newest["Architecture"] != ours:
        message = f"{newest['ImageId']} is for {newest['Architecture']}, not {ours}"
        raise ConfigError(message, fix="use another --source, or the image's --arch")
    return newest


def fits(ec2: Any, spec: MachineSpec) -> None:
    """Raises ConfigError when the instance type does not support the machine's architecture."""
    name = instance_type(spec)
    (found,) = call(ec2, "describe_instance_types", InstanceTypes=[name])["InstanceTypes"]
    arches = found["ProcessorInfo"]["SupportedArchitectures"]
    if ARCHES[spec.arch][1] not in arches:
        message = f"{name} is for {' and '.join(arches)}, not {ARCHES[spec.arch][1]}"
        raise ConfigError(message, fix=f"--instance {INSTANCES[spec.arch]}")


def default_vpc(ec2: Any, region: str) -> str:
    """Raises PreconditionError when there is none."""
    found = call(ec2, "describe_vpcs", Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    if not found:
        raise PreconditionError(
            f"{region} has no default VPC in this account", fix=f"aws ec2 create-default-vpc --region {region}"
        )
    return str(found[0]["VpcId"])


def groups(ec2: Any, machine_id: str) -> list[dict[str, Any]]:
    filters = [{"Name": f"tag:{TAG}", "Values": [machine_id]}]
    found: list[dict[str, Any]] = call(ec2, "describe_security_groups", Filters=filters)["SecurityGroups"]
    return found


def group(ec2: Any, name: str, machine_id: str, vpc: str) -> str:
    """Our security group: closed until `open_to`. Idempotent."""
    if found := groups(ec2, machine_id):
        return str(found[0]["GroupId"])
    made = call(
        ec2,
        "create_security_group",
        GroupName=f"lab-{machine_id[:12]}",
        Description=f"lab machine {name}: SSH from the host that created it",
        VpcId=vpc,
        TagSpecifications=[{"ResourceType": "security-group", "Tags": tags(name, machine_id)}],
    )
    return str(made["GroupId"])


def open_to(ec2: Any, machine_id: str, address: str) -> None:
    """Allow SSH from that address only. Idempotent; an earlier address is removed."""
    for group_ in groups(ec2, machine_id):
        wanted = [_rule(address)]
        # EC2 returns more keys than it accepts
        current = [
            {key: rule[key] for key in ("IpProtocol", "FromPort", "ToPort", "IpRanges") if key in rule}
            for rule in group_["IpPermissions"]
        ]
        ranges = {span["CidrIp"] for rule in current for span in rule.get("IpRanges", [])}
        if ranges == {f"{address}/32"}:
            continue
        if current:
            call(ec2, "revoke_security_group_ingress", GroupId=group_["GroupId"], IpPermissions=current)
        call(ec2, "authorize_security_group_ingress", GroupId=group_["GroupId"], IpPermissions=wanted)


def run(
    lab: Lab, ec2: Any, spec: MachineSpec, seed: Seed, token: str, *, refused: Callable[[], None] | None = None
) -> dict[str, Any]:
    """Create exactly one instance. Raises LateAnswer for an unknown outcome; the next call finds or creates it.

    `refused` is called when EC2 refused the request: then no instance was or will be created by it.
    """
    region = str(ec2.meta.region_name)
    chosen = image(ec2, spec)
    group_id = group(ec2, spec.name, seed.machine_id, default_vpc(ec2, region))
    root = chosen.get("RootDeviceName", "/dev/xvda")
    disk = {"VolumeSize": spec.disk_gib, "VolumeType": "gp3", "DeleteOnTermination": True, "Encrypted": True}
    labels = tags(spec.name, seed.machine_id)
    try:
        call(
            aws_api.client(region, once=True),
            "run_instances",
            MinCount=1,
            MaxCount=1,
            ClientToken=token,
            ImageId=chosen["ImageId"],
            InstanceType=instance_type(spec),
            SecurityGroupIds=[group_id],
            UserData=user_data(seed),
            InstanceInitiatedShutdownBehavior="terminate",
            MetadataOptions={"HttpTokens": "required"},
            BlockDeviceMappings=[{"DeviceName": root, "Ebs": disk}],
            TagSpecifications=[{"ResourceType": kind, "Tags": labels} for kind in ("instance", "volume")],
        )
    except aws_api.LateAnswer:
        lab.bus.emit(Notice(level="warning", text="EC2 did not confirm the new instance; searching for it"))
    except TransientError:  # it may have been created
        raise
    except LabError:
        if refused is not None:
            refused()
        raise
    return only_one(lab, ec2, seed.machine_id)


def only_one(lab: Lab, ec2: Any, machine_id: str, known: str = "") -> dict[str, Any]:
    """The `known` one, else the oldest with our tag, as soon as it appears; others are terminated. Raises LateAnswer.

    EC2 reports launch times in whole seconds, so two instances may have the same age.
    """

    def probe() -> list[dict[str, Any]] | NotYet:
        return instances(ec2, machine_id) or NotYet(reason="no instance has lab's tag yet")

    first, *others = until(
        probe,
        what="the new instance to appear",
        deadline=Deadline.after(LATE_S, lab.cancel),
        hint="run the command again",
        poll_s=POLL_S,
        error=aws_api.LateAnswer,
    )
    if others:
        first, *others = sorted([first, *others], key=lambda item: item["InstanceId"] != known)  # stable: then by age
        ids = [item["InstanceId"] for item in others]
        lab.bus.emit(Notice(level="warning", text=f"EC2 created more than one instance; terminating {', '.join(ids)}"))
        call(ec2, "terminate_instances", InstanceIds=ids)
    return first


def remove(lab: Lab, ec2: Any, machine_id: str) -> None:
    """Delete every instance and group with our tag. Idempotent. Raises ProvisioningError when that takes too long."""
    ids = [item["InstanceId"] for item in instances(ec2, machine_id)]
    if ids:
        call(ec2, "terminate_instances", InstanceIds=ids)
    deadline = Deadline.after(ENDED_S, lab.cancel)

    def ended() -> bool | NotYet:
        left = instances(ec2, machine_id, (*LIVE_STATES, "shutting-down"))
        return NotYet(reason=f"{left[0]['InstanceId']} is {left[0]['State']['Name']}") if left else True

    def cleared() -> bool | NotYet:
        try:
            for item in groups(ec2, machine_id):
                call(ec2, "delete_security_group", GroupId=item["GroupId"])
        except aws_api.Ec2Refused as error:
            if error.code != "DependencyViolation":
                raise
            return NotYet(reason="EC2 still uses the security group")
        return True

    hint = "run lab down again"
    until(ended, what="the instance to terminate", deadline=deadline, hint=hint, poll_s=POLL_S, error=ProvisioningError)
    until(cleared, what="its group's removal", deadline=deadline, hint=hint, poll_s=POLL_S, error=ProvisioningError)


def tags(name: str, machine_id: str) -> list[dict[str, str]]:
    return [{"Key": TAG, "Value": machine_id}, {"Key": "Name", "Value": f"lab-{name}"}]


def new_token() -> str:
    return uuid.uuid4().hex


def _rule(address: str) -> dict[str, Any]:
    span = {"CidrIp": f"{address}/32", "Description": "the host that ran lab up"}
    return {"IpProtocol": "tcp", "FromPort": SSH_PORT, "ToPort": SSH_PORT, "IpRanges": [span]}
