"""The controls' ruler: the newest readable run of the same scenario on the same kind of machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.flows import sizing
from lab.model.lab import Lab
from lab.runs.plan import RunParameters
from tests.support import lab_at

WISH = RunParameters(profile="stage", seed=1, topology="all", rate_rps=3.0, emulated=True, cpus=2)


def summary(cpu: float | None, **about: str) -> dict[str, Any]:
    level = {"cpu_s_per_1k_requests": cpu, "latency_p50_ms": {"browse": 10.0, "get": 20.0}}
    mix = [{"type": "browse", "weight": 3.0}, {"type": "get", "weight": 1.0}, {"type": "rare", "weight": 1.0}]
    machine = {"provider": "qemu", "acceleration": "tcg", "topology": "all"} | about
    return {
        "scenario": "shop",
        "provenance": machine | {"mix": mix},
        "forms": {"baseline": {"metrics": {"one": level}}},
    }


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return lab_at(tmp_path)


def keep(lab: Lab, name: str, doc: object) -> None:
    folder = lab.paths.runs / name
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "summary.json").write_text(doc if isinstance(doc, str) else json.dumps(doc))


def costs(lab: Lab, **other: str) -> dict[str, float] | None:
    return sizing.measured(lab, **({"scenario": "shop", "provider": "qemu", "accel": "tcg"} | other), wish=WISH)


def test_nothing_like_it_was_measured(lab: Lab) -> None:
    keep(lab, "20260101-000000-shop-aaaa", summary(20.0))
    assert costs(lab, scenario="http") is None
    assert costs(lab, provider="local") is None
    assert costs(lab, accel="kvm") is None


def test_the_newest_one_that_is_whole_counts(lab: Lab) -> None:
    keep(lab, "20260101-000000-shop-aaaa", summary(90.0))
    keep(lab, "20260102-000000-shop-aaaa", summary(20.0))
    keep(lab, "20260103-000000-shop-aaaa", summary(50.0, topology="split"))
    keep(lab, "20260104-000000-shop-aaaa", summary(None))
    keep(lab, "20260105-000000-shop-aaaa", "{ torn")
    keep(lab, "20260106-000000-shop-aaaa", {"scenario": "shop", "provenance": {"provider": "qemu"}, "forms": []})
    assert costs(lab) == {"cpu": 20.0e6, "wait": 12.5e6}  # 20 s per 1,000; (3 x 10 ms + 1 x 20 ms) / 4
