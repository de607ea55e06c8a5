"""The ledger of noise: 20 sessions of one profile give a floor; it is fixed in the manifest; nothing torn is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from scipy import stats

from lab.model.facts import MachineFacts
from lab.model.paths import Paths
from lab.runs import noise
from tests.unit.report import synthetic

CPU = "cpu_s_per_1k_requests"
HERE = MachineFacts.of({"arch": "x86_64", "cpu_model": "made up", "cpus": 2, "kernel": "6.1"})


def fill(paths: Paths, count: int, profile: str = "p") -> list[float]:
    told = [(-1) ** n * n / 10 for n in range(count)]
    for n, pct in enumerate(told):
        noise.add(paths, profile, noise.Session(run_id=f"20261129-{n:06d}", twin_pct={CPU: pct}))
    return told


def test_the_floor_is_unknown_before_twenty_sessions(tmp_path: Path) -> None:
    paths = Paths(home=tmp_path)
    assert noise.floors(paths, "p") == {}
    fill(paths, noise.SESSIONS_MIN - 1)
    assert noise.floors(paths, "p") == {}


def test_the_floor_is_the_95th_percentile_of_what_the_twin_read_either_way(tmp_path: Path) -> None:
    paths = Paths(home=tmp_path)
    told = fill(paths, 24)
    oracle = stats.mstats.mquantiles([abs(pct) for pct in told], [0.95], alphap=1, betap=1)[0]
    assert noise.floors(paths, "p") == {CPU: pytest.approx(float(oracle))}
    assert noise.floors(paths, "another") == {}


def test_a_session_told_twice_counts_once_and_a_torn_file_is_none(tmp_path: Path) -> None:
    paths = Paths(home=tmp_path)
    fill(paths, 20)
    noise.add(paths, "p", noise.Session(run_id="20261129-000019", twin_pct={CPU: 50.0}))
    assert len(noise.sessions(paths, "p")) == 20
    for name, text in (("torn", '{"run_id": "x", "twin'), ("infinite", '{"run_id": "x", "twin_pct": {"a": 1e999}}')):
        (paths.noise / "p" / f"{name}.json").write_text(text, encoding="utf-8")
    assert len(noise.sessions(paths, "p")) == 20
    newest = [session.twin_pct[CPU] for session in noise.sessions(paths, "p")]
    assert newest[-1] == 50.0


def test_only_sessions_that_measure_alike_share_a_profile() -> None:
    plan = synthetic.plan(blocks=8)
    of = noise.profile_hash(plan, "local", "none", HERE, "go1.26.1")
    assert noise.profile_hash(replace(plan, run_id="other", seed=2), "local", "none", HERE, "go1.26.1") == of
    others = [
        noise.profile_hash(synthetic.plan(blocks=12), "local", "none", HERE, "go1.26.1"),
        noise.profile_hash(plan, "qemu", "kvm", HERE, "go1.26.1"),
        noise.profile_hash(plan, "local", "none", HERE.but(kernel="6.12"), "go1.26.1"),
        noise.profile_hash(plan, "local", "none", HERE, "go1.27.0"),
    ]
    assert len({of, *others}) == 5
