"""A cut run is found by its plan and gone on with; its host events are numbered on."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import pytest

from lab.flows.report import cut
from lab.flows.resume import RunRecorder, claim
from lab.guest.wire import GuestManifest, Plan, dump
from lab.model.config import Config
from lab.model.errors import PreconditionError
from lab.model.events import Bus, GuestEvent, Notice
from lab.model.facts import MachineFacts
from lab.model.lab import Lab
from lab.model.paths import HOST_EVENTS_FILE, Paths
from lab.system import store
from tests.unit.runs.test_plan import made

NUMBERS = itertools.count()
HERE = MachineFacts.of({"kernel": "6.1", "cpus": 2, "cpu_model": "EPYC", "memory_mib": 2000, "lockdown": "none"})


def lab_in(home: Path) -> Lab:
    return Lab(config=Config(), paths=Paths(home=home), bus=Bus())


def named(**change: object) -> Plan:
    """A plan under a name that no other has, as `lab demo` makes one each time."""
    return made(f"20260102-{next(NUMBERS):04d}", **change)


def test_the_same_request_resumes_and_another_is_another_run(tmp_path: Path) -> None:
    lab = lab_in(tmp_path)
    first, plan = claim(lab, named(), HERE)
    again, same = claim(lab, named(), HERE)
    other, _ = claim(lab, named(seed=9), HERE)
    assert first == again
    assert plan == same
    assert other != first
    assert first.name == f"incomplete-{plan.run_id}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kernel": "6.12"}, "kernel 6.1, then 6.12"),
        ({"cpus": 4}, "CPUs 2, then 4"),
        ({"lockdown": "integrity"}, "lockdown none, then integrity"),
        ({"memory_mib": 4000}, "2000 MiB of memory, then 4000 MiB"),
    ],
)
def test_a_run_does_not_go_on_on_another_machine(tmp_path: Path, change: dict[str, object], said: str) -> None:
    lab, told = lab_in(tmp_path), list[str]()
    lab.bus.add(lambda record: told.extend([record.event.text] if isinstance(record.event, Notice) else []))
    first, plan = claim(lab, named(), HERE)
    other, _ = claim(lab, named(), HERE.but(**change))
    assert first != other
    assert told == [f"{plan.run_id} was interrupted on another machine ({said}): a new run begins"]
    assert claim(lab, named(), HERE)[0] == first, "it is still there for the machine that it began on"
    assert claim(lab, named(), HERE.but(**change))[0] == other


@pytest.mark.parametrize("change", [{"memory_mib": 2010}, {"boot_id": "other"}, {"lockdown": "unknown"}])
def test_another_boot_of_the_same_machine_goes_on(tmp_path: Path, change: dict[str, object]) -> None:
    lab = lab_in(tmp_path)
    first, _ = claim(lab, named(), HERE)
    assert claim(lab, named(), HERE.but(**change))[0] == first


def test_a_run_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    lab = lab_in(tmp_path)
    first, _ = claim(lab, named(), HERE)
    (first / "machine.json").unlink()
    assert claim(lab, named(), HERE.but(kernel="6.12"))[0] == first


def test_a_damaged_plan_is_not_gone_on_with(tmp_path: Path) -> None:
    lab = lab_in(tmp_path)
    first, _ = claim(lab, named(), HERE)
    (first / "plan.json").write_text("{")
    second, _ = claim(lab, named(), HERE)
    assert second != first


def test_a_folder_that_a_kill_left_without_a_plan_goes(tmp_path: Path) -> None:
    """`lab fetch` took it for the newest run, for ever."""
    lab = lab_in(tmp_path)
    left = lab.paths.incomplete_run("20990101-cut")
    (left / "guest").mkdir(parents=True)
    os.utime(left, (1e9, 1e9))
    folder, _ = claim(lab, named(), HERE)
    assert list(cut(lab.paths).values()) == [folder]


def test_a_folder_that_another_command_is_about_to_write_into_stays(tmp_path: Path) -> None:
    lab = lab_in(tmp_path)
    (lab.paths.incomplete_run("20990101-new") / "guest").mkdir(parents=True)
    folder, _ = claim(lab, named(), HERE)
    assert sorted(cut(lab.paths).values()) == sorted([folder, lab.paths.incomplete_run("20990101-new")])


@pytest.mark.parametrize("cells", [(), ("01-baseline-one",)])
def test_a_run_that_ended_with_nothing_is_not_gone_on_with(tmp_path: Path, cells: tuple[str, ...]) -> None:
    """One that has cells is: only bringing it home was cut."""
    lab = lab_in(tmp_path)
    first, plan = claim(lab, named(), HERE)
    sealed = GuestManifest(plan.run_id, "0" * 64, "boot", cells, (), "failed", "the disk is full")
    store.write_text(first / "guest/manifest.json", dump(sealed))
    second, _ = claim(lab, named(), HERE)
    assert (second == first) is bool(cells)
    assert [path for path in lab.paths.runs.iterdir() if path.is_dir()] == [second]


@pytest.mark.skipif(os.name == "nt", reason="needs a file system that refuses")
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file in the way")
    with pytest.raises(PreconditionError, match="cannot write") as error:
        claim(lab_in(tmp_path), named(), HERE)
    assert "--home" in error.value.fix


def test_host_events_are_held_then_written_then_numbered_on(tmp_path: Path) -> None:
    for expected in ([1, 2], [1, 2, 3, 4]):
        lab = lab_in(tmp_path)
        recorder = RunRecorder()
        lab.bus.add(recorder)
        lab.bus.emit(Notice(level="info", text="before there is a run"))
        recorder.into(tmp_path)
        lab.bus.emit(GuestEvent(kind="cell", at_ns=1, data={}))
        lab.bus.emit(Notice(level="info", text="in it"))
        recorder.close()
        lab.bus.emit(Notice(level="info", text="after the seal"))
        seen = [json.loads(line)["seq"] for line in (tmp_path / HOST_EVENTS_FILE).read_text().splitlines()]
        assert len(seen) == len(expected)
        assert seen == sorted(set(seen))
