"""The way of a demo: what each stage takes is what the one before gives, and nothing on it is done twice."""

from __future__ import annotations

import dataclasses
import os
import typing
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab import remote
from lab.flows import forecast, resume, stages
from lab.flows.demo import DEMO, DemoStage, run
from lab.flows.deploy import DEPLOY, Proofs
from lab.flows.fetch import fetch
from lab.flows.report import Reported, write
from lab.flows.request import DemoRequest
from lab.flows.stages import Started, Work
from lab.machines import state
from lab.model.errors import Locked
from lab.model.facts import MachineFacts
from lab.remote.localhost import LocalTransport
from lab.runs import drive, read, sealed, zipapp
from lab.system import digests, documents, store
from lab.system.wait import Deadline
from tests.support import lab_at
from tests.unit.flows.under_way import BESIDE, PLAN, started
from tests.unit.runs.test_plan import made


def recorded(work: Work, under_way: Started) -> Started:
    """What the stage before left: the host's events go into the run."""
    work.recorder.into(under_way.directory)
    return under_way


FROM_THE_END_ON = (DemoStage(name="started", act=recorded), *DEMO[[s.name for s in DEMO].index("followed") :])


def types_of(stage: DemoStage) -> tuple[Any, Any]:
    """What a stage takes and gives, as its function declares it."""
    hints = typing.get_type_hints(stage.act)
    gives = hints.pop("return")
    _, takes = hints.values()
    return takes, gives


@pytest.mark.parametrize(("way", "end"), [(DEMO, Reported), (DEPLOY, Proofs)])
def test_each_stage_takes_what_the_one_before_gives(way: tuple[DemoStage, ...], end: object) -> None:
    types = [types_of(stage) for stage in way]
    assert types[0][0] is DemoRequest
    assert [takes for takes, _ in types[1:]] == [gives for _, gives in types[:-1]]
    assert types[-1][1] == end
    for _, value in types[:-1]:
        assert value.__dataclass_params__.frozen, value
        hints = typing.get_type_hints(value)
        for field in dataclasses.fields(value):
            # what a stage does not know yet is not in its value: nothing is empty first and filled in later
            assert field.default is field.default_factory is dataclasses.MISSING, f"{value.__name__}.{field.name}"
            assert type(None) not in typing.get_args(hints[field.name]), f"{value.__name__}.{field.name}"


def counted(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, key: Callable[..., str]) -> Counter[str]:
    """How often the real function is called, by `key` of its arguments."""
    seen: Counter[str] = Counter()
    real = getattr(owner, name)

    def counting(*args: Any, **options: Any) -> Any:
        seen[key(*args, **options)] += 1
        return real(*args, **options)

    monkeypatch.setattr(owner, name, counting)
    return seen


def test_a_run_is_sealed_once_and_no_file_is_read_or_hashed_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = lab_at(tmp_path / "home")
    under_way = started(lab)
    before = len(PLAN.run_id)

    def final(path: Path) -> str:
        name = path.name.removeprefix(".").removesuffix(".part")
        return path.with_name(name).as_posix().replace(f"incomplete-{PLAN.run_id}", PLAN.run_id)

    hashed = counted(monkeypatch, digests, "of_file", lambda path, **_: final(path))
    documents_read = counted(monkeypatch, documents, "content", lambda source, _: final(source.path))
    written = counted(monkeypatch, store, "write_json", lambda path, _: path.name)
    runs_read = counted(monkeypatch, read, "opened", lambda root, *_: root.name[-before:])
    logins = counted(monkeypatch, remote, "connect", lambda *_: "login")
    reported: Reported = run(lab, FROM_THE_END_ON, under_way)
    assert written == {"manifest.json": 1, "summary.json": 1, f"{reported.summary.run_id}.json": 1}
    assert runs_read == {PLAN.run_id: 1}
    assert logins == {"login": 2}, "to follow, and to bring it home"
    names = [entry.path for entry in (sealed.glance(reported.directory)[0].files or ())]
    assert {name for name in names if name.startswith("guest/cells/")}
    assert {path.relative_to(reported.directory).as_posix() for path in map(Path, hashed)} == set(names)
    assert set(hashed.values()) == {1}, hashed.most_common(3)
    assert documents_read
    assert documents_read.most_common(1)[0][1] == 1, documents_read.most_common(3)


def test_the_run_that_is_told_of_is_the_one_that_is_there(tmp_path: Path) -> None:
    """Told from what was read before it had its name; `lab report`, which compares every file, says the same."""
    home = lab_at(tmp_path / "home")
    reported: Reported = run(home, FROM_THE_END_ON, started(home))
    assert reported.directory == home.paths.run(PLAN.run_id)
    assert not home.paths.incomplete_run(PLAN.run_id).exists()
    manifest, _, doubt = sealed.check(reported.directory)
    assert doubt == ()
    assert manifest.grade.word == reported.summary.grade.word
    again = write(home, reported.directory)
    about = again.summary.provenance
    assert replace(reported.summary, provenance=about) == again.summary, "the files of the report itself are counted"
    assert any(step.title == "fetch and verify results" and step.seconds for step in again.summary.steps)


def test_a_file_that_changes_once_it_is_here_is_found(tmp_path: Path) -> None:
    """The manifest has the digest by which a file was verified as it came, not that of what lies there later."""
    home = lab_at(tmp_path / "home")
    fetched = run(home, FROM_THE_END_ON[:3], started(home))
    cell = next((fetched.run.directory / "guest").rglob("cell.json"))
    cell.write_bytes(cell.read_bytes().replace(b"}", b" }", 1))
    reported: Reported = run(home, FROM_THE_END_ON[3:], fetched)
    with pytest.raises(Exception, match=r"changed since it was sealed: .*cell\.json"):
        sealed.check(reported.directory)


def test_forms_that_share_a_binary_are_told_of_one_by_one(tmp_path: Path) -> None:
    proved, measured = lab_at(tmp_path / "proved"), lab_at(tmp_path / "measured")
    proofs: Proofs = run(proved, (*FROM_THE_END_ON[:3], DEPLOY[-1]), started(proved))
    assert set(proofs) == set(PLAN.forms)
    assert {name for name, proof in proofs.items() if proof.changes == (BESIDE,)} == {"ebpf"}
    reported: Reported = run(measured, FROM_THE_END_ON, started(measured))
    told = {form.name: form.changes for form in sealed.check(reported.directory)[0].forms}
    assert {name for name, changes in told.items() if changes == (BESIDE,)} == {"ebpf"}


def test_the_guest_half_is_packed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zipapp.build.cache_clear()
    zipapp.name.cache_clear()
    packed = counted(monkeypatch, zipfile, "ZipFile", lambda *_: "zip")
    transport, site = LocalTransport(lab_at(tmp_path / "home")), drive.Site(root=str(tmp_path), run_id="r")
    for _ in range(2):
        drive.install(transport, site, Deadline.after(20))
        assert drive.call(transport, site, Deadline.after(20), "facts")["cpus"] >= 1
    assert packed == {"zip": 1}


def test_the_rest_of_a_cut_run_takes_one_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = lab_at(tmp_path / "home")
    under_way = started(home)
    state.save(home, under_way.machine)
    logins = counted(monkeypatch, remote, "connect", lambda *_: "login")
    assert fetch(home, None, None) == under_way.directory
    assert (under_way.directory / "guest/manifest.json").is_file()
    assert logins == {"login": 1}


def test_a_second_command_for_a_run_in_progress_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = lab_at(tmp_path / "home")
    monkeypatch.setattr(stages, "plan_of", lambda _, run_id: made(run_id))
    monkeypatch.setattr(forecast, "tell", lambda *_, **__: None)
    scenario = SimpleNamespace(name="shop", counted=SimpleNamespace(cpu_ms=0.0))
    prepared = SimpleNamespace(asked=SimpleNamespace(scenario=scenario), machine=None)
    facts = MachineFacts.of({"arch": "x86_64"})
    deployed: Any = SimpleNamespace(prepared=prepared, facts=facts, parameters=SimpleNamespace(emulated=False))
    planned = DemoStage(name="planned", act=lambda work, _: stages.plan(work, deployed))

    def a_second(_: Work, mine: stages.Planned) -> stages.Planned:
        with pytest.raises(Locked, match=f"run {mine.plan.run_id} is in use by pid {os.getpid()}"):
            run(home, (planned,), None)
        return mine

    first = run(home, (planned, DemoStage(name="refused", act=a_second)), None)
    assert run(home, (planned,), None).directory == first.directory, "it goes on with the run when the first has ended"
    assert list(home.paths.locks.iterdir()) == []


def test_a_run_in_progress_is_not_fetched_beside_it(tmp_path: Path) -> None:
    home = lab_at(tmp_path / "home")
    state.save(home, started(home).machine)
    with resume.alone(home, PLAN.run_id), pytest.raises(Locked, match=f"run {PLAN.run_id} is in use"):
        fetch(home, None, None)
