"""Forms on standby: the record of what is up where, and a restore that tells which form is not proven."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.flows import live, snapshot, standby
from lab.flows.snapshot import RestoreReport
from lab.guest.wire import encode
from lab.guest.wire.live import LiveEvent, Order, Proof
from lab.machines import snapshots
from lab.machines.snapshots import RestoreResult
from lab.model.errors import PreconditionError, Unreadable, UsageError
from lab.model.machine import Machine, MachineSpec
from lab.model.paths import MACHINE_FILE, SNAPSHOTS_DIR, STANDBY_FILE
from lab.runs.drive import Site
from tests.support import lab_at


def record(**changes: Any) -> standby.Standby:
    fields: dict[str, Any] = {
        "forms": ("baseline", "ebpf"),
        "requests": ("browse", "venues"),
        "seed": 7,
        "clock": "real",
        "scenario": "/s.yaml",
        "service": "/shop",
        "topology": "all",
        "site": Site(root="/opt/lab", run_id=standby.RUN_ID),
        "pid": 42,
        "proofs": {},
    }
    return standby.Standby(**{**fields, **changes})


class Given:
    """A session that keeps what it is given."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.slower: list[float] = []

    def give(self, order: Order, *, slower: float) -> list[LiveEvent]:
        self.orders.append(order)
        self.slower.append(slower)
        return []


def cast(**changes: Any) -> tuple[live.LiveCast, Given]:
    given = Given()
    return live.LiveCast(record(**changes), given), given  # type: ignore[arg-type]  # as far as it is used


def test_the_record_beside_the_machine_is_read_as_it_was_written(tmp_path: Path) -> None:
    lab = lab_at(tmp_path)
    with pytest.raises(PreconditionError, match="no forms are on standby in machine m"):
        standby.kept(lab, "m")
    lab.paths.machine("m").mkdir(parents=True)
    standby.keep(lab, "m", record())
    assert standby.kept(lab, "m") == record()
    (lab.paths.machine("m") / STANDBY_FILE).write_text(json.dumps({**encode(record()), "pid": "x"}))
    with pytest.raises(Unreadable, match="pid"):
        standby.kept(lab, "m")


def test_orders_carry_what_was_asked_for() -> None:
    actors, given = cast(clock="counted")
    list(actors.request("browse", index=3, at_once=True))
    assert given.slower[0] == 30.0, "a counted second takes long here"
    list(actors.load(["ebpf"], rate_rps=40, seconds=2.01))
    list(actors.attach("baseline", agent_of="ebpf"))
    assert [(one.kind, one.forms, one.request, one.index, one.at_once) for one in given.orders] == [
        ("request", (), "browse", 3, True),
        ("load", ("ebpf",), "", 0, False),
        ("attach", ("baseline",), "", 0, False),
    ]
    assert (given.orders[1].requests, given.orders[1].seed, given.orders[2].agent_of) == (81, 7, "ebpf")
    assert len({one.id for one in given.orders}) == 3


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        (lambda c: c.request("brows"), "no request type 'brows'; did you mean 'browse'? (known: browse, venues)"),
        (lambda c: c.detach("ebf"), "the form 'ebf' is not on standby; did you mean 'ebpf'?"),
        (lambda c: c.attach("baseline", agent_of="dd"), "the form 'dd' is not on standby"),
        (lambda c: c.load(rate_rps=1), "either seconds or requests"),
        (lambda c: c.load(rate_rps=0, requests=1), "1 requests at 0/s"),
        (lambda c: c.load(rate_rps=1, seconds=1e9), "1,000,000,000 requests at 1/s"),
    ],
)
def test_what_cannot_be_ordered_is_refused_here(ask: Any, text: str) -> None:
    actors, given = cast()
    with pytest.raises(UsageError) as error:
        ask(actors)
    assert text in error.value.message
    assert given.orders == []


def test_a_form_that_is_not_proven_is_named() -> None:
    machine = Machine(spec=MachineSpec(name="m"))
    went = RestoreResult(machine=machine, restored=True, reason="", seconds=2.0, behind_s=9.0, standby={})
    proofs = {name: Proof("o", 1, name, ok=name == "a", reason="") for name in ("a", "b")}
    assert RestoreReport(went=went, proofs=proofs).failed == ["b"]
    assert RestoreReport(went=went).failed == []


def test_a_snapshot_with_forms_of_an_earlier_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    lab = lab_at(tmp_path)
    folder = lab.paths.machine("m")
    (folder / SNAPSHOTS_DIR).mkdir(parents=True)
    shutil.copy(Path(__file__).parents[1] / "machines/recorded_machine.json", folder / MACHINE_FILE)
    doc = {"schema": 1, "name": "ready", "boot_id": "b", "uptime_s": 1.0, "nonce": "n", "kept": {}, "held": {"pid": 1}}
    (folder / SNAPSHOTS_DIR / "ready.json").write_text(json.dumps(doc))
    with pytest.raises(UsageError, match="made by an earlier version of lab") as error:
        snapshots.restore(lab, "m", "ready")
    assert error.value.fix == "lab up m, then lab snapshot m --as ready --form …"


def test_forms_that_were_proven_before_the_machine_was_booted_instead_are_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy host: the snapshot was restored and proven, then its connection was lost."""
    saved, proof = encode(record()), Proof("o", 1, "ebpf", ok=True, reason="")
    booted = RestoreResult(
        machine=Machine(spec=MachineSpec(name="m")), restored=False, reason="lost", seconds=2.0, behind_s=0.0,
        standby=saved,
    )  # fmt: skip

    def boots_instead(*_: Any, on_restored: Any, **__: Any) -> RestoreResult:
        on_restored(None, SimpleNamespace(standby=saved))
        return booted

    started: list[str] = []

    def start(_: Any, name: str, __: Any) -> standby.Standby:
        started.append(name)
        return record(proofs={"ebpf": proof})

    monkeypatch.setattr("lab.machines.snapshots.restore", boots_instead)
    monkeypatch.setattr(standby, "keep", lambda *_: None)
    monkeypatch.setattr(standby, "reprove", lambda *_, **__: {"ebpf": proof})
    monkeypatch.setattr(snapshot, "_asked", lambda *_: None)
    monkeypatch.setattr(standby, "start", start)
    assert snapshot.restore(lab_at(tmp_path), "m", "stage", fallback=True).went is booted
    assert started == ["m"]
