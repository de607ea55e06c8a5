"""The guest half's answers: read when well, told with their cause and our exit code when not."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from lab.guest.linux import ending
from lab.guest.run.seal import seal
from lab.guest.wire import GuestRecord, dump
from lab.model.errors import DemoError, LabError, Locked, PreconditionError, TransientError
from lab.remote.localhost import LocalTransport
from lab.runs import drive
from lab.runs.drive import Site, call, install
from lab.system.wait import Deadline
from tests.support import lab_at
from tests.unit.report import synthetic


def answers(tmp_path: Path, script: str) -> tuple[LocalTransport, Site]:
    """A "guest half" that is a shell script, at the place where drive looks for it."""
    site = Site(root=str(tmp_path), run_id="r", python="sh")
    Path(site.guest).write_text(script)
    return LocalTransport(lab_at(tmp_path / "home")), site


@pytest.mark.parametrize(
    ("code", "kind"), [(2, DemoError), (4, PreconditionError), (6, DemoError), (8, Locked), (75, TransientError)]
)
def test_exit_codes_keep_their_meaning(tmp_path: Path, code: int, kind: type[LabError]) -> None:
    transport, site = answers(tmp_path, f"""echo '{{"error": "why", "fix": "do this"}}'; exit {code}""")
    with pytest.raises(kind, match="'start': why") as error:
        call(transport, site, Deadline.after(20), "start")
    assert type(error.value) is kind
    assert error.value.fix == "do this"


def test_no_answer_shows_the_last_words(tmp_path: Path) -> None:
    transport, site = answers(tmp_path, "echo Traceback >&2; exit 1")
    with pytest.raises(DemoError) as error:
        call(transport, site, Deadline.after(20), "facts")
    assert error.value.detail == "Traceback"


def test_the_last_line_is_the_answer(tmp_path: Path) -> None:
    transport, site = answers(tmp_path, """echo noise; echo '{"a": 1}'""")
    assert call(transport, site, Deadline.after(20), "facts") == {"a": 1}


GOOD = {"kernel": "6.1", "cpus": 2, "arch": "x86_64", "clock_ns": 10**18, "os": "Débian"}


def test_facts_of_a_machine_are_checked_when_they_arrive(tmp_path: Path) -> None:
    (tmp_path / "said").write_text(json.dumps(GOOD))
    transport, site = answers(tmp_path, f"cat {tmp_path}/said")
    found, clock_s = drive.facts(transport, site, Deadline.after(20))
    assert found.reported == {name: value for name, value in GOOD.items() if name != "clock_ns"}
    assert clock_s == 1e9


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"kernel": 6}, "kernel"),
        ({"kernel": "6.1\x1b[31m"}, "kernel"),
        ({"cpu_model": "x" * 5000}, "cpu_model"),
        ({"os": "a\nb"}, "os"),
        ({"cpus": 0}, "cpus"),
        ({"cpus": "2"}, "cpus"),
        ({"clock_ns": -1}, "clock_ns"),
        ({"clock_ns": None}, "clock_ns"),
        ({"emulated": "yes"}, "emulated"),
        ({"mounted": ["x" * 5000]}, "mounted"),
        ({"k" * 5000: 1}, "k" * 60),
    ],
)
def test_a_fact_that_is_none_is_refused_by_its_name(tmp_path: Path, wrong: dict[str, Any], key: str) -> None:
    (tmp_path / "said").write_text(json.dumps({**GOOD, **wrong}))
    transport, site = answers(tmp_path, f"cat {tmp_path}/said")
    with pytest.raises(DemoError, match=f"has an invalid fact: {key}"):
        drive.facts(transport, site, Deadline.after(20))


@pytest.mark.parametrize("status", [{}, {"pid": "x"}, {"pid": -1}])
def test_a_start_that_answers_no_pid_is_our_error(tmp_path: Path, status: dict[str, Any]) -> None:
    transport, site = answers(tmp_path, f"echo '{json.dumps(status)}'")
    with pytest.raises(DemoError, match="invalid answer of the guest half: pid"):
        drive.start(transport, site, synthetic.plan(blocks=1), "", Deadline.after(20))


def test_a_run_that_ends_before_its_start_is_answered_is_a_run(tmp_path: Path) -> None:
    transport, site = answers(tmp_path, """echo '{"pid": null, "sealed": true}'""")
    launched = drive.start(transport, site, synthetic.plan(blocks=1), "", Deadline.after(20))
    assert launched == drive.Launched(pid=None)
    with pytest.raises(DemoError, match="standby process exited"):
        drive.start_standby(transport, site, synthetic.plan(blocks=1), "", Deadline.after(20))


def test_a_run_that_was_sealed_is_started_again_and_only_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host was killed between the seal and the fetch."""
    monkeypatch.setenv(ending.RUNTIME_ENV, str(tmp_path / "runtime"))
    transport, site = LocalTransport(lab_at(tmp_path / "home")), Site(root=str(tmp_path), run_id="r")
    plan = synthetic.plan(blocks=1)
    install(transport, site, Deadline.after(20))
    out = Path(site.out)
    out.mkdir(parents=True)
    (out / "plan.json").write_text(dump(plan))
    seal(out, plan.run_id, plan.digest(), (), "failed", "no room")
    assert drive.start(transport, site, plan, "", Deadline.after(20)) == drive.Launched(pid=None)


def test_the_guest_half_is_put_there_once_and_runs(tmp_path: Path) -> None:
    transport = LocalTransport(lab_at(tmp_path / "home"))
    site = Site(root=str(tmp_path), run_id="r")
    install(transport, site, Deadline.after(20))
    before = Path(site.guest).stat().st_mtime_ns
    install(transport, site, Deadline.after(20))
    assert Path(site.guest).stat().st_mtime_ns == before
    assert call(transport, site, Deadline.after(20), "facts")["cpus"] >= 1


def followed(tmp_path: Path, script: str, *kinds: str, seconds: float = 20.0) -> drive.Followed:
    """Follow a guest half that has written these events; `script` answers for it."""
    transport, site = answers(tmp_path, script)
    Path(site.out).mkdir(parents=True)
    wrote(site, *kinds)
    lab = lab_at(tmp_path / "home")
    return drive.follow(
        lab, lambda: contextlib.nullcontext(transport), site, synthetic.plan(blocks=1), Deadline.after(seconds)
    )


def wrote(site: Site, *kinds: str) -> str:
    """These events, as lines; they are appended to those of the run."""
    data: dict[str, dict[str, Any]] = {"running": {"phase": "running"}, "failed": {"reason": "no room"}}
    records = [GuestRecord(1, 1, "b", "state" if kind == "running" else kind, data.get(kind, {})) for kind in kinds]
    text = "".join(dump(record) + "\n" for record in records)
    with (Path(site.out) / "events.jsonl").open("a") as file:
        file.write(text)
    return text


AT_WORK = """echo '{"alive": true}'"""
EXITED = """echo '{"alive": false, "phase": "failed", "reason": "no room"}'"""


def test_a_run_that_failed_and_was_started_again_is_followed_to_its_end(tmp_path: Path) -> None:
    """The events of the first attempt are there before the second has told anything."""
    site = Site(root=str(tmp_path / "other"), run_id="r")
    Path(site.out).mkdir(parents=True)
    (tmp_path / "next").write_text(wrote(site, "running", "done"))
    script = f"{AT_WORK}; cat {tmp_path}/next >> {tmp_path}/runs/r/guest/events.jsonl"
    assert followed(tmp_path, script, "running", "failed").ended == "done"


def test_a_run_that_failed_is_told_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="failed in the machine: no room"):
        followed(tmp_path, EXITED, "running", "failed")


def test_what_a_run_wrote_just_before_it_ended_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ended between the last look at its events and the look at its process."""
    monkeypatch.setattr(drive, "SILENCE_S", 0.0)
    site = Site(root=str(tmp_path / "other"), run_id="r")
    Path(site.out).mkdir(parents=True)
    (tmp_path / "next").write_text(wrote(site, "done"))
    script = f"cat {tmp_path}/next >> {tmp_path}/runs/r/guest/events.jsonl; {EXITED}"
    assert followed(tmp_path, script, "running").ended == "done"


def test_a_run_that_was_killed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drive, "SILENCE_S", 0.0)
    with pytest.raises(DemoError, match=r"the guest half exited \(last phase: failed\)") as error:
        followed(tmp_path, EXITED, "running")
    assert error.value.detail == "no room"
