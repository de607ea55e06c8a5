"""A machine on the EC2 of tests/contract/ec2.py that does not exist yet."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from lab.machines import keys
from lab.machines.providers.aws import api as aws_api
from lab.machines.providers.aws import provider as aws
from lab.machines.providers.aws import resources as aws_resources
from lab.machines.providers.aws.provider import AwsHandle
from lab.model.config import Config
from lab.model.events import Bus
from lab.model.lab import Lab
from lab.model.machine import MachineSpec, Seed
from lab.model.paths import Paths
from tests.contract.ec2 import REGION, Ec2

SPEC = MachineSpec(name="box", provider="aws", arch="x86_64", disk_gib=12)


class Bench:
    """Its spec, its folder, what was told, and what EC2 has of it."""

    def __init__(self, folder: Path, ec2: Ec2) -> None:
        self.ec2 = ec2
        self.told: list[str] = []
        bus = Bus((lambda record: self.told.append(str(record.event)),))
        self.lab = Lab(config=Config(), paths=Paths(home=folder / "home"), bus=bus)
        self.directory = self.lab.paths.machine(SPEC.name)

    @property
    def seed(self) -> Seed:
        return keys.seed(self.directory)

    @property
    def api(self) -> Any:
        return aws_api.client(REGION)

    def create(self, spec: MachineSpec = SPEC) -> AwsHandle:
        return aws.create(self.lab, spec, self.seed, self.directory)

    def there(self) -> list[dict[str, Any]]:
        return aws_resources.instances(self.api, self.seed.machine_id)

    def failed(self, **changes: Any) -> str:
        """The check that fails for such a spec: its name, message and fix."""
        (found,) = aws.check(self.lab, dataclasses.replace(SPEC, **changes))
        assert found.verdict == "fail", found
        return f"{found.name} | {found.message} | {found.fix}"
