"""The controls' ruler: the newest readable run of the same scenario on the same kind of machine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.flows import sizing
from lab.guest.wire import COUNTED, encode
from lab.model.lab import Lab
from lab.model.summary import Part, Summary
from lab.runs.plan import RunParameters
from lab.runs.read import read
from lab.verdict import summarize
from tests.support import lab_at
from tests.unit.report import synthetic

PARAMETERS = RunParameters(profile="stage", seed=1, topology="all", rate_rps=3.0, emulated=True, cpus=2)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return summarize(read(synthetic.write(tmp_path_factory.mktemp("run") / "run", requests=20)))


def summary(whole: Summary, cpu: float | None, topology: str = "all") -> dict[str, Any]:
    """The same summary with other figures of the baseline."""
    base = whole.forms["baseline"]
    level = replace(
        base.metrics["main"], cpu_s_per_1k_requests=cpu, latency_p50_ms={"browse": 10.0, "get": 20.0, "unasked": 1.0}
    )
    mix = (Part(type="browse", weight=3.0), Part(type="get", weight=1.0), Part(type="rare", weight=1.0))
    about = replace(whole.provenance, topology=topology, mix=mix)
    doc: dict[str, Any] = encode(
        replace(whole, forms={"baseline": replace(base, metrics={"main": level})}, provenance=about)
    )
    return doc


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return lab_at(tmp_path)


def at_levels(whole: Summary) -> Summary:
    """The same run at two load levels, with the figures that are fitted over both: its keys are sorted."""
    base = whole.forms["baseline"]
    main = base.metrics["main"]
    fitted = replace(main, cpu_s_per_1k_requests=None, latency_p50_ms={}, others={"cpu_marginal_ms": 1.0})
    fast, slow = (replace(main, cpu_s_per_1k_requests=cpu, latency_p50_ms={"browse": 10.0}) for cpu in (20.0, 30.0))
    metrics = {"all": fitted, "fast": fast, "slow": slow}
    rows = tuple(replace(row, level="slow") for row in whole.verdicts)
    return replace(whole, forms={"baseline": replace(base, metrics=metrics)}, verdicts=rows)


def keep(lab: Lab, name: str, doc: object) -> None:
    folder = lab.paths.runs / name
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "summary.json").write_text(doc if isinstance(doc, str) else json.dumps(doc))


def costs(lab: Lab, **other: str) -> dict[str, float] | None:
    return sizing.measured(
        lab, **({"scenario": "shop", "provider": "qemu", "accel": "tcg"} | other), parameters=PARAMETERS
    )


def test_nothing_like_it_was_measured(lab: Lab, measured: Summary) -> None:
    keep(lab, "20260101-000000-shop-aaaa", summary(measured, 20.0))
    assert costs(lab, scenario="http") is None
    assert costs(lab, provider="local") is None
    assert costs(lab, accel="kvm") is None


def test_a_run_on_another_clock_is_not_like_it(lab: Lab, measured: Summary) -> None:
    keep(lab, "20260101-000000-shop-aaaa", summary(replace(measured, clock=COUNTED), 20.0))
    assert costs(lab) is None


def test_the_newest_one_that_is_whole_counts(lab: Lab, measured: Summary) -> None:
    keep(lab, "20260101-000000-shop-aaaa", summary(measured, 90.0))
    keep(lab, "20260102-000000-shop-aaaa", summary(measured, 20.0))
    keep(lab, "20260103-000000-shop-aaaa", summary(measured, 50.0, topology="split"))
    keep(lab, "20260104-000000-shop-aaaa", summary(measured, None))
    keep(lab, "20260105-000000-shop-aaaa", "{ torn")
    keep(lab, "20260106-000000-shop-aaaa", {"scenario": "shop", "provenance": {"provider": "qemu"}, "forms": []})
    assert costs(lab) == {"cpu": 20.0e6, "wait": 12.5e6}  # 20 s per 1,000; (3 x 10 ms + 1 x 20 ms) / 4


def test_of_several_load_levels_that_of_the_verdict_counts(lab: Lab, measured: Summary) -> None:
    keep(lab, "20260101-000000-shop-aaaa", encode(at_levels(measured)))
    assert costs(lab) == {"cpu": 30.0e6, "wait": 10.0e6}


def test_without_a_verdict_a_level_that_was_measured_counts(lab: Lab, measured: Summary) -> None:
    """Controls alone: no form has a verdict."""
    keep(lab, "20260101-000000-shop-aaaa", encode(replace(at_levels(measured), verdicts=())))
    assert costs(lab) == {"cpu": 20.0e6, "wait": 10.0e6}
