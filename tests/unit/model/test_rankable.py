"""A scenario by which no form could ever be ranked is refused when it is read, with every reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.guest.scoring.gates import MEDIAN_MIN
from lab.model.errors import ConfigError
from lab.model.loading.load_scenario import load_scenario
from lab.model.metrics import P50_MIN
from lab.model.mix import dealt
from tests.unit.report.synthetic_plan import ROOT

HEAD = """\
schema: 1
name: mine
title: Mine
requests:
  - {type: often, weight: 99, path: /a}
  - {type: rare, weight: 1, path: /b}
rate_rps: {emulated: 5, native: 10}
"""


def told(tmp_path: Path, more: str, head: str = HEAD) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(head + more, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_scenario(path)
    return str(caught.value)


def test_a_metric_that_does_not_exist_is_named_with_its_line(tmp_path: Path) -> None:
    text = told(tmp_path, "primary: [cpu_per_request, latency_p50_ms]\nthreshold_pct: {throughput_rps: 3}\n")
    assert "mine.yaml:8:" in text
    assert "'cpu_per_request' is not one of cpu_s_per_1k_requests" in text
    assert "mine.yaml:9:" in text
    assert "'throughput_rps' is not one of" in text


@pytest.mark.parametrize(
    "name", ["rss_mib", "latency_p90_ms", "latency_p99_ms", "cpu_marginal_ms", "instructions_per_span"]
)
def test_a_metric_without_a_control_is_not_primary(tmp_path: Path, name: str) -> None:
    text = told(tmp_path, f"primary: [cpu_s_per_1k_requests, {name}]\n")
    assert "mine.yaml:8:" in text
    assert f"{name} has no control, so it can never get a verdict; name cpu_s_per_1k_requests or " in text
    assert "cpu_s_per_1k_requests has no" not in text


def test_a_percentile_that_no_cell_can_have(tmp_path: Path) -> None:
    head = HEAD.replace("native: 10", "native: 0.2")  # for 20 s, 99 of 100
    text = told(tmp_path, "primary: [latency_p50_ms]\n", head)
    assert "latency_p50_ms needs 5 answers of one request type in a cell; the longest cell has 3" in text


def test_a_latency_where_everything_times_out(tmp_path: Path) -> None:
    head = HEAD.replace("path: /a}", "path: /a, expect_timeout: true}").replace(
        "path: /b}", "path: /b, expect_timeout: true}"
    )
    assert "every request type times out" in told(tmp_path, "primary: [latency_p50_ms]\n", head)


def test_a_counted_cell_that_leaves_a_type_out(tmp_path: Path) -> None:
    assert "40 requests leave none for rare" in told(tmp_path, "counted: {requests: 40}\n")


def test_a_type_that_no_cell_has_a_request_of(tmp_path: Path) -> None:
    head = HEAD.replace("weight: 1,", "weight: 1.0e-9,")
    text = told(tmp_path, "", head)
    assert "mine.yaml:5:" in text
    assert "the longest cell has 200 requests, which leave none for rare" in text
    assert "1,200 requests, which" in told(tmp_path, "counted: {rate_rps: 60}\n", head)
    (tmp_path / "mine.yaml").write_text(HEAD.replace("weight: 1,", "weight: 0.3,"), encoding="utf-8")
    assert load_scenario(tmp_path / "mine.yaml").name == "mine", "one request of 200"


@pytest.mark.parametrize("threshold", ["100.1", "1.0e9", ".inf", "-1"])
def test_a_threshold_beyond_which_nothing_is_told(tmp_path: Path, threshold: str) -> None:
    text = told(tmp_path, f"threshold_pct: {{cpu_s_per_1k_requests: {threshold}}}\n")
    assert "threshold_pct.cpu_s_per_1k_requests" in text


def test_requests_are_dealt_as_the_load_generator_deals_them() -> None:
    shop = load_scenario(ROOT / "demo/scenarios/shop.yaml")
    wanted = [33, 6, 9, 1, 7, 1, 1, 1, 1, 0]  # the case of demo/load/stream_test.go
    assert list(dealt(shop.requests, 60).values()) == wanted


def test_the_machine_and_the_host_agree_on_the_fewest_answers_of_a_median() -> None:
    assert MEDIAN_MIN == P50_MIN
