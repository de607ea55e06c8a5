"""The aws provider when an answer is lost or whoever asked is killed: one instance, whatever happened."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.machines import keys
from lab.machines.providers.aws import api as aws_api
from lab.machines.providers.aws import provider as aws
from lab.machines.providers.aws import resources as aws_resources
from lab.model.errors import TransientError
from lab.system import store
from tests.contract.ec2 import REGION
from tests.contract.ec2_bench import SPEC, Bench

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("shows", [True, False])
def test_create_that_is_answered_late_makes_no_second_instance(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, shows: bool
) -> None:
    """EC2 did it, and its answer is lost; `shows`: whether the tag can be seen at once."""
    monkeypatch.setattr(aws_api, "READ_S", 8.0)
    bench.ec2.late.add("RunInstances")
    if not shows:
        monkeypatch.setattr(aws_resources, "LATE_S", 0.0)
        seen = aws_resources.instances
        monkeypatch.setattr(aws_resources, "instances", lambda *_: [])
        with pytest.raises(TransientError, match="timed out waiting for"):
            bench.create()
        monkeypatch.setattr(aws_resources, "instances", seen)
    handle = bench.create()
    assert bench.create() == handle
    assert bench.ec2.asked["RunInstances"] == 1, "not even sent a second time"
    assert len(bench.there()) == 1


def test_a_kill_after_the_request_is_mended_by_the_same_command(bench: Bench, tmp_path: Path) -> None:
    """The process that asked is killed while EC2 works; the next one finds what it asked for."""
    bench.ec2.late.add("RunInstances")
    keys.seed(bench.directory)
    program = tmp_path / "ask.py"
    program.write_text(
        "from pathlib import Path\n"
        "from lab.machines import keys\n"
        "from lab.machines.providers.aws import api as aws_api, provider as aws\n"
        "from lab.model.config import Config\n"
        "from lab.model.events import Bus\n"
        "from lab.model.lab import Lab\n"
        "from lab.model.machine import MachineSpec\n"
        "from lab.model.paths import Paths\n"
        f"lab = Lab(config=Config(), paths=Paths(home=Path({str(bench.lab.paths.home)!r})), bus=Bus())\n"
        "folder = lab.paths.machine('box')\n"
        "aws.create(lab, MachineSpec(name='box', provider='aws', arch='x86_64'), keys.seed(folder), folder)\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    asking = subprocess.Popen([sys.executable, str(program)], env=environ)
    limit = time.monotonic() + 60
    while bench.ec2.asked["RunInstances"] == 0 or not bench.ec2.scripts:
        assert time.monotonic() < limit
        assert asking.poll() is None
        time.sleep(0.05)
    asking.kill()
    asking.wait()
    bench.ec2.late.clear()
    handle = bench.create()
    assert bench.ec2.asked["RunInstances"] == 1
    assert len(bench.there()) == 1
    aws.delete(bench.lab, handle)
    assert bench.there() == []


def test_down_finds_what_nobody_was_told_of(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_api, "READ_S", 2.0)
    bench.ec2.late.add("RunInstances")
    bench.ec2.refuse["DescribeInstances"] = "RequestLimitExceeded"
    (bench.directory).mkdir(parents=True)
    store.write_json(bench.directory / aws.FILE, {"region": REGION, "token": "0" * 32})
    with pytest.raises(TransientError):
        aws_resources.run(bench.lab, bench.api, SPEC, bench.seed, "0" * 32)
    bench.ec2.refuse.clear()
    aws.delete(bench.lab, aws.recover(bench.seed, "box", bench.directory))
    assert bench.there() == []
    assert not (bench.directory / aws.FILE).exists()


def test_two_instances_become_one(bench: Bench) -> None:
    """Whatever the reason: the oldest is kept."""
    handle = bench.create()
    (first,) = bench.there()
    aws_api.call(
        bench.api,
        "run_instances",
        MinCount=1,
        MaxCount=1,
        ImageId="ami-0a000002",
        UserData="#cloud-boothook\n:\n",
        TagSpecifications=[{"ResourceType": "instance", "Tags": aws_resources.tags("box", bench.seed.machine_id)}],
    )
    assert len(bench.there()) == 2
    assert bench.create() == handle
    assert [each["InstanceId"] for each in bench.there()] == [first["InstanceId"]]
    assert any("more than one" in text for text in bench.told)
