"""The aws provider against moto over HTTP: what is made, refusals, and what is left behind."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from lab.machines import first_boot, keys, readiness
from lab.machines.providers.aws import api as aws_api
from lab.machines.providers.aws import provider as aws
from lab.machines.providers.aws import resources as aws_resources
from lab.model.errors import ConfigError, LabError, PreconditionError, SecurityStop, TransientError
from tests.contract.ec2 import FROM, REGION
from tests.contract.ec2_bench import SPEC, Bench
from tests.fakes import cloud_machine
from tests.support import run_lab

pytestmark = pytest.mark.contract


def test_an_instance_is_ours_ends_by_itself_and_lets_in_nobody_else(bench: Bench) -> None:
    handle = bench.create()
    endpoint = aws.start(bench.lab, handle)
    (made,) = bench.there()
    assert made["ImageId"] == "ami-0a000002", "Debian's newest of that release, of that account"
    assert made["InstanceType"] == "m7i.large"
    assert {"Key": aws_resources.TAG, "Value": bench.seed.machine_id} in made["Tags"]
    asked = {"InstanceId": made["InstanceId"]}
    ends = bench.api.describe_instance_attribute(Attribute="instanceInitiatedShutdownBehavior", **asked)
    assert ends["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate"
    (group,) = aws_resources.groups(bench.api, bench.seed.machine_id)
    assert made["SecurityGroups"] == [{"GroupId": group["GroupId"], "GroupName": group["GroupName"]}]
    (rule,) = group["IpPermissions"]
    assert (rule["FromPort"], rule["ToPort"]) == (aws_resources.SSH_PORT, aws_resources.SSH_PORT)
    assert [span["CidrIp"] for span in rule["IpRanges"]] == [f"{FROM}/32"]
    assert bench.api.describe_key_pairs()["KeyPairs"] == []
    readiness.wait_alive(bench.lab, aws, handle, bench.directory)
    assert endpoint.host_key == " ".join(bench.seed.host_key_public.split()[:2])
    assert "systemctl --no-block start lab-end.timer" in bench.ec2.log.read_text()
    aws.delete(bench.lab, handle)
    assert bench.there() == []
    assert aws_resources.groups(bench.api, bench.seed.machine_id) == []


def test_a_new_address_of_this_host_replaces_the_old_one(bench: Bench) -> None:
    handle = bench.create()
    aws.start(bench.lab, handle)
    aws_resources.open_to(bench.api, bench.seed.machine_id, "198.51.100.1")
    (group,) = aws_resources.groups(bench.api, bench.seed.machine_id)
    spans = [span["CidrIp"] for rule in group["IpPermissions"] for span in rule["IpRanges"]]
    assert spans == ["198.51.100.1/32"]


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        ("VcpuLimitExceeded", PreconditionError, "quota is exhausted"),
        ("InstanceLimitExceeded", PreconditionError, "quota is exhausted"),
        ("InsufficientInstanceCapacity", TransientError, "right now"),
        ("UnauthorizedOperation", PreconditionError, "lacks the permission"),
        ("Gibberish", LabError, "failed \\(Gibberish\\)"),
    ],
)
def test_what_ec2_refuses_is_one_error_and_leaves_nothing(
    bench: Bench, code: str, error: type[LabError], words: str
) -> None:
    bench.ec2.refuse["RunInstances"] = code
    with pytest.raises(error, match=words) as caught:
        bench.create()
    assert caught.value.fix
    bench.ec2.refuse.clear()
    aws_resources.remove(bench.lab, bench.api, bench.seed.machine_id)
    assert aws_resources.groups(bench.api, bench.seed.machine_id) == []


def test_what_ec2_refused_for_sure_is_asked_for_again_and_taken_down_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EC2 refuses a token that comes back with another request, and the fix of a quota is another request."""
    tokens = []
    new_token = aws_resources.new_token

    def noted() -> str:
        tokens.append(new_token())
        return tokens[-1]

    monkeypatch.setattr(aws_resources, "new_token", noted)
    bench.ec2.refuse["RunInstances"] = "VcpuLimitExceeded"
    for _ in range(2):
        with pytest.raises(PreconditionError, match="quota is exhausted"):
            bench.create()
    assert len(set(tokens)) == 2
    monkeypatch.setattr(aws_resources, "LATE_S", 3600.0)  # nobody waits for what was never made
    aws.delete(bench.lab, aws.recover(bench.seed, "box", bench.directory))
    assert aws_resources.groups(bench.api, bench.seed.machine_id) == []


def test_check_names_credential_region_network_image_and_type(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [found.verdict for found in aws.check(bench.lab, SPEC)] == ["ok"]
    assert "aws.image" in bench.failed(image="debian-7")
    assert "is not an AMI id" in bench.failed(source="https://host.invalid/image.qcow2")
    assert "no such image" in bench.failed(source="ami-0ffffff0")
    assert "is for arm64, not x86_64" in bench.failed(source="ami-0a000003")
    assert "m7g.large is for arm64" in bench.failed(instance="m7g.large")
    assert "InvalidInstanceType" in bench.failed(instance="m7i.nope")
    assert "no region 'mars-1'" in bench.failed(region="mars-1")
    for code, words in {
        "AuthFailure": "AWS rejects the credential",
        "RequestExpired": "has expired",
        "ExpiredToken": "has expired",
    }.items():
        bench.ec2.refuse["*"] = code
        assert words in bench.failed()
    bench.ec2.refuse.clear()
    vpc = aws_resources.default_vpc(bench.api, REGION)
    for subnet in bench.api.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]:
        bench.api.delete_subnet(SubnetId=subnet["SubnetId"])
    bench.api.delete_vpc(VpcId=vpc)
    assert f"create-default-vpc --region {REGION}" in bench.failed()
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert "no AWS region is set" in bench.failed()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "no valid AWS credential" in bench.failed(region=REGION)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "nobody" in bench.failed(region=REGION)
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert "pip install 'invisible-lab[aws]'" in bench.failed()


def test_an_instance_that_ended_is_told_and_made_again(bench: Bench) -> None:
    handle = bench.create()
    aws.start(bench.lab, handle)
    readiness.wait_alive(bench.lab, aws, handle, bench.directory)
    (gone,) = bench.there()
    bench.api.terminate_instances(InstanceIds=[gone["InstanceId"]])
    seen = aws.inspect(bench.lab, handle)
    assert (seen.phase, seen.alive) == ("absent", False)
    assert "terminates by itself after 8 h" in seen.reason
    token = aws._kept(bench.directory)["token"]
    assert bench.create() == handle
    assert aws._kept(bench.directory)["token"] != token, "the old one would give back the ended instance"
    assert [each["InstanceId"] for each in bench.there()] != [gone["InstanceId"]]


def test_another_host_key_at_our_address_stops_everything(bench: Bench, tmp_path: Path) -> None:
    handle = bench.create()
    aws.start(bench.lab, handle)
    readiness.wait_alive(bench.lab, aws, handle, bench.directory)
    cloud_machine.end(next(iter(bench.ec2.pids.values())))
    stranger = first_boot.script(keys.seed(tmp_path / "other"))
    pid = cloud_machine.boot(stranger, aws_resources.SSH_PORT, bench.ec2.log)
    try:
        while not aws._knock("127.0.0.1"):
            assert cloud_machine.alive(pid)
        with pytest.raises(SecurityStop):
            aws.inspect(bench.lab, handle)
        aws._keep(bench.directory, address="127.0.0.2")  # as after a stop and a start: EC2 says another one now
        assert "its address has changed" in aws.inspect(bench.lab, handle).reason
    finally:
        cloud_machine.end(pid)


def test_a_machine_that_answers_is_not_asked_for_at_ec2(bench: Bench) -> None:
    """That is what keeps a second `up` short."""
    handle = bench.create()
    aws.start(bench.lab, handle)
    readiness.wait_alive(bench.lab, aws, handle, bench.directory)
    before = bench.ec2.asked.total()
    assert aws.inspect(bench.lab, handle).alive
    assert bench.ec2.asked.total() == before


def test_with_a_credential_that_expired_nothing_is_forgotten(bench: Bench) -> None:
    handle = bench.create()
    bench.ec2.refuse["*"] = "ExpiredToken"
    assert aws.inspect(bench.lab, handle).phase == "unknown"
    with pytest.raises(PreconditionError, match="has expired"):
        aws.delete(bench.lab, handle)
    assert (bench.directory / aws.FILE).exists()


def test_another_region_takes_what_was_made_in_the_first(bench: Bench) -> None:
    bench.create()
    bench.create(dataclasses.replace(SPEC, region="us-east-1", source="ami-0a000002"))
    assert bench.there() == []
    assert len(aws_resources.instances(aws_api.client("us-east-1"), bench.seed.machine_id)) == 1


def test_a_digest_or_a_folder_means_nothing_to_who_never_made_anything(bench: Bench) -> None:
    """`down` of a machine whose state is lost asks every provider."""
    handle = aws.recover(bench.seed, "box", bench.directory)
    before = bench.ec2.asked.total()
    aws.delete(bench.lab, handle)
    aws.stop(bench.lab, handle)
    assert aws.inspect(bench.lab, handle).phase == "absent"
    assert bench.ec2.asked.total() == before


def test_down_all_by_the_command(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """`lab up` gets as far as the playbook, which needs a Debian of its own; `down --all` takes everything."""
    home = bench.lab.paths.home
    bad = run_lab("up", "--provider", "aws", "--arch", "x86_64", "--instance", "m7g.large", home=home)
    assert bad.code == 4
    assert "--instance m7i.large" in bad.stderr
    gone = run_lab("down", "--all", home=home)
    assert gone.code == 0, gone.stderr


def test_config_errors_are_told_before_anything_is_made(bench: Bench) -> None:
    with pytest.raises(ConfigError):
        bench.create(dataclasses.replace(SPEC, source="ami-0a000003"))
    assert bench.ec2.asked["RunInstances"] == 0
    assert bench.ec2.asked["CreateSecurityGroup"] == 0
