"""The lima provider against what limactl 2.2.0 really said: bad input, kills, and what is never done."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.machines import keys, lifecycle
from lab.machines.images.cloud import catalog as cloud_catalog
from lab.machines.providers.lima import limactl
from lab.machines.providers.lima import provider as lima
from lab.machines.providers.lima import template as lima_template
from lab.machines.providers.lima.provider import LimaHandle
from lab.model.config import Config
from lab.model.errors import (
    ConfigError,
    LabError,
    PreconditionError,
    ProvisioningError,
    SecurityStop,
    TransientError,
)
from lab.model.events import Bus
from lab.model.lab import Lab
from lab.model.machine import HOST_ARCH, MachineSpec, Seed
from lab.model.paths import Paths
from tests.contract.lima import own_limactl
from tests.support import run_lab

pytestmark = pytest.mark.contract
SPEC = MachineSpec(name="box", provider="lima", driver="qemu", arch="x86_64")
OTHER = "aarch64" if HOST_ARCH == "x86_64" else "x86_64"


class Bench:
    """A lima machine that does not exist yet, and the verbs that limactl is asked for."""

    def __init__(self, folder: Path, calls: Path) -> None:
        self.lab = Lab(config=Config(), paths=Paths(home=folder / "home"), bus=Bus())
        self.directory = self.lab.paths.machine(SPEC.name)
        self.calls_file = calls
        self.home = Path(os.environ["LIMA_HOME"])

    @property
    def seed(self) -> Seed:
        return keys.seed(self.directory)

    def create(self, spec: MachineSpec = SPEC) -> LimaHandle:
        return lima.create(self.lab, spec, self.seed, self.directory)

    def calls(self, verb: str) -> int:
        return self.calls_file.read_text().splitlines().count(verb) if self.calls_file.exists() else 0

    def instance(self) -> Path:
        return self.home / f"lab-{self.seed.machine_id[:12]}"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, own_limactl(tmp_path, monkeypatch))


def verdicts(bench: Bench, spec: MachineSpec) -> dict[str, str]:
    """The failed checks: name -> message and fix."""
    found = lima.check(bench.lab, spec)
    return {each.name: f"{each.message} | {each.fix}" for each in found if each.verdict == "fail"}


@pytest.mark.parametrize(
    ("recording", "error", "words"),
    [
        ("create-wrong-digest", SecurityStop, "does not match the pinned digest"),
        ("create-wrong-driver", PreconditionError, "does not support this machine on this host"),
        ("create-not-fetched", TransientError, "cannot fetch the image"),
        ("create-no-file", ConfigError, "image at --source does not exist"),
        ("create-badyaml", ProvisioningError, "failed to unmarshal"),
    ],
)
def test_what_limactl_refuses_is_one_error_with_a_fix(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, recording: str, error: type[LabError], words: str
) -> None:
    monkeypatch.setenv("FAKE_LIMA", f"create={recording}")
    with pytest.raises(error, match=words) as caught:
        bench.create()
    assert type(caught.value) is error
    assert caught.value.fix
    assert Path(str(caught.value.log)).read_text().strip(), "its own words are kept"


@pytest.mark.parametrize("verb", ["list", "create", "start", "stop", "delete"])
def test_words_that_nobody_knows_end_with_code_5_and_a_log(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    handle = bench.create() if verb != "create" else lima.recover(bench.seed, "box", bench.directory)
    if verb == "stop":
        lima.start(bench.lab, handle)
    monkeypatch.setenv("FAKE_LIMA", f"{verb}={'strange-list' if verb == 'list' else 'strange'}")
    does: dict[str, Callable[[], object]] = {
        "list": lambda: lima.inspect(bench.lab, handle),
        "create": bench.create,
        "start": lambda: lima.start(bench.lab, handle),
        "stop": lambda: lima.stop(bench.lab, handle),
        "delete": lambda: lima.delete(bench.lab, handle),
    }
    try:
        with pytest.raises(ProvisioningError, match="printed unknown output") as caught:
            does[verb]()
        assert caught.value.exit_code == 5
        assert "segmentation" in Path(str(caught.value.log)).read_text()
        assert str(caught.value.log) in caught.value.fix
    finally:
        monkeypatch.delenv("FAKE_LIMA")
        lima.delete(bench.lab, handle)


def test_check_names_what_is_missing_or_wrong(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert verdicts(bench, SPEC) == {}
    assert "vz driver needs macOS" in verdicts(bench, MachineSpec(provider="lima", driver="vz"))["lima.driver"]
    assert "hyperkit" in verdicts(bench, MachineSpec(provider="lima", driver="hyperkit"))["lima.driver"]
    wrong = MachineSpec(provider="lima", driver="qemu", source="https://host.invalid/image.qcow2")
    assert "needs a digest" in verdicts(bench, wrong)["lima.image"]
    wrong = MachineSpec(provider="lima", driver="qemu", source="/none.qcow2", digest=f"sha256:{'0' * 64}")
    assert "file /none.qcow2 does not exist" in verdicts(bench, wrong)["lima.image"]
    assert (
        "no x86_64 cloud image" in verdicts(bench, MachineSpec(provider="lima", arch="x86_64", image="b"))["lima.image"]
    )
    monkeypatch.setenv("FAKE_LIMA", "--version=version-old")
    assert "1.0.7 is too old" in verdicts(bench, SPEC)["lima"]
    monkeypatch.setenv("FAKE_LIMA", "--version=as-root")
    assert "normal user" in verdicts(bench, SPEC)["lima"]
    monkeypatch.setenv("PATH", "/nowhere")
    assert "brew install lima" in verdicts(bench, SPEC)["lima"]
    assert "qemu" in verdicts(bench, SPEC).get("lima.driver", "qemu")


def test_a_started_machine_is_never_started_again(bench: Bench) -> None:
    handle = bench.create()
    try:
        first = lima.start(bench.lab, handle)
        assert lima.start(bench.lab, handle) == first
        assert bench.create() == handle
        assert bench.calls("start") == 1
        assert bench.calls("create") == 1
        assert bench.calls("snapshot") == 0
    finally:
        lima.delete(bench.lab, handle)
    assert not bench.instance().exists()


def test_a_create_that_failed_is_made_again_from_the_corrected_spec(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.create()  # Lima keeps the instance also when it could not fetch the image, and lists it as stopped
    corrected = MachineSpec(name="box", provider="lima", driver="qemu", arch="x86_64", memory_mib=4096)
    handle = bench.create(corrected)
    assert json.loads((bench.instance() / "lima.yaml").read_text())["memory"] == "4096MiB"
    lima.delete(bench.lab, handle)
    assert not bench.instance().exists()


def test_a_folder_that_a_killed_limactl_left_is_no_hindrance(bench: Bench) -> None:
    bench.instance().mkdir()
    (bench.instance() / "cidata.tmp").write_text("")
    handle = bench.create()
    assert (bench.instance() / "lima.yaml").exists()
    bench.instance().joinpath("lima.yaml").unlink()
    lima.delete(bench.lab, handle)
    assert not bench.instance().exists()


def test_nothing_that_was_never_made_is_asked_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """`down` of a machine whose state is lost asks every provider; a host without Lima must not mind."""
    monkeypatch.setenv("PATH", "/nowhere")
    handle = lima.recover(bench.seed, "box", bench.directory)
    lima.delete(bench.lab, handle)
    lima.stop(bench.lab, handle)
    assert lima.inspect(bench.lab, handle).phase == "absent"


def test_the_template_pins_image_and_host_key_and_shares_nothing(bench: Bench) -> None:
    doc = json.loads(lima_template.template(SPEC, bench.seed))
    (image,) = doc["images"]
    assert image["location"].startswith("https://cloud.debian.org/images/cloud/bookworm/2026")
    assert image["digest"].startswith("sha512:")
    assert (doc["mounts"], doc["plain"], doc["ssh"]["loadDotSSHPubKeys"]) == ([], True, False)
    (provision,) = doc["provision"]
    assert bench.seed.host_key_private.read_text().splitlines()[1] in provision["script"]
    assert bench.seed.user_key_public in provision["script"]
    handle = bench.create()
    assert (bench.directory / lima.TEMPLATE).stat().st_mode & 0o077 == 0
    lima.delete(bench.lab, handle)


@pytest.mark.parametrize("key", sorted(cloud_catalog.IMAGES))
def test_every_image_is_dated_and_pinned(key: tuple[str, str]) -> None:
    path, digest = cloud_catalog.IMAGES[key]  # type: ignore[index]
    assert cloud_catalog.DIGEST.fullmatch(digest)
    assert path.split("/")[1] in path.split("/")[2], "the date stands in folder and name"
    assert ("amd64" in path) == (key[1] == "x86_64")
    assert key[0] in path


def test_the_driver_follows_the_host() -> None:
    spec = MachineSpec(provider="lima")
    assert lima_template.driver(spec, "darwin") == "vz"
    assert lima_template.driver(spec, "linux") == "qemu"
    other = MachineSpec(provider="lima", arch=OTHER)  # type: ignore[arg-type]
    assert lima_template.driver(other, "darwin") == "qemu"
    assert lima_template.driver(MachineSpec(provider="lima", image="debian-11"), "darwin") == "qemu"


def test_what_lima_lists_is_read_by_shape() -> None:
    recorded = Path(__file__).resolve().parents[2] / "fakes/lima"
    text = (recorded / "list-json-running.txt").read_text().partition("--- stdout\n")[2].partition("---")[0]
    (found,) = limactl.parse_list(text)
    assert (found.name, found.status, found.port, found.driver) == ("t2", "Running", 35467, "qemu")
    assert limactl.parse_list("") == []
    assert [each.name for each in limactl.parse_list(text + "\n" + text.replace("t2", "t3"))] == ["t2", "t3"]
    for strange in ("[]", '{"name": "x"}', "NAME  STATUS"):
        with pytest.raises(ValueError, match=r"."):
            limactl.parse_list(strange)


def test_a_state_that_lima_calls_broken_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = bench.create()
    monkeypatch.setenv("FAKE_LIMA", "list=list-broken")
    seen = lima.inspect(bench.lab, handle)
    monkeypatch.delenv("FAKE_LIMA")
    lima.delete(bench.lab, handle)
    assert (seen.phase, seen.alive) == ("broken", False)
    assert "qemu driver is running but host agent is not" in seen.reason


def test_up_and_down_by_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as a machine without Debian in it goes: the playbook cannot be applied to this host."""
    own_limactl(tmp_path, monkeypatch)
    home = tmp_path / "home"
    planned = run_lab("up", "--provider", "lima", "--driver", "hyperkit", home=home)
    assert planned.code == 4
    assert "--driver vz or qemu" in planned.stderr
    assert lifecycle.names(Lab(config=Config(), paths=Paths(home=home), bus=Bus())) == ["lab-lima"]
    gone = run_lab("down", "--all", home=home)
    assert gone.code == 0, gone.stderr
