"""Several runs side by side: what may be compared, what is refused and by which name, and how far apart they are."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.guest.wire import encode
from lab.model.summary import Summary, Verdict
from lab.runs.read import read
from lab.verdict import several, summarize
from tests.unit.report import synthetic


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return summarize(read(synthetic.write(tmp_path_factory.mktemp("run") / "run", blocks=3, requests=40)))


def elsewhere(of: Summary, **guest: object) -> Summary:
    about = replace(of.provenance, guest={**of.provenance.guest, **guest}, created="2026-12-01T10:00:00+00:00")
    return replace(of, run_id="another", provenance=about)


def test_the_same_machine_on_another_day_is_compared(summary: Summary) -> None:
    other = elsewhere(summary)
    assert several.differences([summary, other]) == []
    rows = several.side_by_side([summary, other])
    primary = [row for row in summary.verdicts if row.primary]
    assert len(rows) == len(primary)
    assert {row.words_equal for row in rows} == {True}
    told = [row for row in rows if row.apart is not None]
    assert told
    assert {row.apart for row in told} == {0.0}
    assert all(row.overlap for row in told)
    said = several.lines(rows)
    assert any("0.0 percentage points apart; the same verdict; their intervals overlap" in line for line in said)


@pytest.mark.parametrize(
    ("guest", "named"),
    [
        ({"kernel": "6.12.1"}, "kernel: "),
        ({"cpu_model": "another CPU"}, "hardware: "),
        ({"cpus": 64}, "hardware: "),
        ({"arch": "riscv64"}, "hardware: "),
        ({"memory_mib": 512}, "hardware: "),
        ({"virtualisation": "none"}, "hardware: "),
        ({"lockdown": "confidentiality"}, "lockdown: "),
        ({"battery": True}, "power: "),
    ],
)
def test_unlike_machines_are_refused_by_what_differs(summary: Summary, guest: dict[str, object], named: str) -> None:
    (why,) = several.differences([summary, elsewhere(summary, **guest)])
    assert why.startswith(named)
    assert summary.run_id in why
    assert "(another)" in why


def test_what_the_noise_of_a_machine_depends_on_is_compared_too(summary: Summary) -> None:
    for name in summary.provenance.machine.hardware:
        value: object = 77 if name in {"cpus", "memory_mib"} else "unlike"
        assert several.differences([summary, elsewhere(summary, **{name: value})]), name


def test_another_go_or_load_is_refused(summary: Summary) -> None:
    go = replace(summary, provenance=replace(summary.provenance, toolchain={"go": "go9"}))
    assert [why.partition(":")[0] for why in several.differences([summary, go])] == ["Go"]
    slower = replace(summary, provenance=replace(summary.provenance, rates_rps=(1.0,)))
    assert [why.partition(":")[0] for why in several.differences([summary, slower])] == ["load"]


@pytest.mark.parametrize("what", ["layout", "arrivals"])
def test_another_layout_or_kind_of_arrivals_is_refused_on_every_clock(summary: Summary, what: str) -> None:
    for of in (summary, replace(summary, clock="counted")):
        unlike: dict[str, Any] = {what: "unlike"}
        other = replace(of, run_id="another", provenance=replace(of.provenance, **unlike))
        assert [why.partition(":")[0] for why in several.differences([of, other])] == [what]


@pytest.mark.parametrize("change", [{"os": "Darwin"}, {"release": "9.9"}, {"arch": "riscv64"}])
def test_times_of_an_emulated_machine_are_compared_on_one_kind_of_host(
    summary: Summary, change: dict[str, str]
) -> None:
    def on(of: Summary, acceleration: str, **host: str) -> Summary:
        about = replace(of.provenance, acceleration=acceleration, host=replace(of.provenance.host, **host))
        return replace(of, run_id="another" if host else of.run_id, provenance=about)

    def told(of: Summary, acceleration: str) -> list[str]:
        return [
            why.partition(":")[0] for why in several.differences([on(of, acceleration), on(of, acceleration, **change)])
        ]

    assert told(summary, "tcg") == ["host"]
    assert told(summary, "kvm") == []
    assert told(replace(summary, clock="counted"), "tcg") == []


def test_forms_that_are_other_programs_are_named(summary: Summary) -> None:
    other = elsewhere(summary)
    assert several.built_apart([summary, other]) == []
    forms = dict(other.forms)
    forms["ebpf"] = replace(forms["ebpf"], agent_sha256="9" * 64)
    forms["orchestrion-otel"] = replace(forms["orchestrion-otel"], sha256="8" * 64)
    del forms["twin"]
    found = several.built_apart([summary, replace(other, forms=forms)])
    assert [said.partition(" in each: ")[0] for said in found] == [
        "orchestrion-otel: another program",
        "ebpf: another agent",
    ]
    assert all(said.endswith(f"{digit * 12} (another)") for said, digit in zip(found, "89", strict=True))


def test_a_run_is_not_compared_with_itself(summary: Summary) -> None:
    assert several.repeated([summary, elsewhere(summary)]) == []
    assert several.repeated([summary, elsewhere(summary), summary]) == [summary.run_id]


def test_counted_runs_of_one_image_are_compared_across_hosts_and_never_with_time(summary: Summary) -> None:
    counted = replace(summary, clock="counted")
    other = elsewhere(counted, cpu_model="another CPU", cpus=1)
    assert several.differences([counted, other]) == []
    for name, unlike in (("instruction_ns", 1), ("kernel", "6.12.1"), ("lockdown", "confidentiality")):
        assert several.differences([counted, elsewhere(counted, **{name: unlike})]), name
    image = replace(other, provenance=replace(other.provenance, image_id="another"))
    assert [why.partition(":")[0] for why in several.differences([counted, image])] == ["image"]
    assert [why.partition(":")[0] for why in several.differences([summary, counted])] == ["clock"]


def test_runs_that_disagree_say_so(summary: Summary) -> None:
    def moved(row: Verdict) -> Verdict:
        if row.effect_pct is None or row.low_pct is None or row.high_pct is None:
            return row
        row = replace(row, low_pct=row.low_pct + 500, high_pct=row.high_pct + 500, lost="", word="COSTS MORE")
        return replace(row, effect_pct=(row.effect_pct or 0.0) + 500)

    def far(of: Summary) -> Summary:
        return replace(of, run_id="another", verdicts=tuple(map(moved, of.verdicts)))

    rows = [row for row in several.side_by_side([summary, far(summary)]) if row.overlap is not None]
    assert rows
    assert not any(row.overlap or row.words_equal for row in rows)
    assert all(row.apart == pytest.approx(500) for row in rows)


def test_the_command_compares_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lab.cli import main

    for name in ("one", "two"):
        synthetic.write(tmp_path / "runs" / name, requests=30, run_id=f"20261122-101500-{name}")
    home = ["--home", str(tmp_path)]
    assert main(["report", "one", "two", "--compare", *home]) == 0
    assert "CPU per request:" in capsys.readouterr().out
    assert main(["report", "one", "--compare", *home]) == 0, "with the newest"
    capsys.readouterr()
    assert main(["report", "one", "two", *home]) == 2
    assert "lab report --compare one two" in capsys.readouterr().err
    assert main(["report", "two", "--compare", *home]) == 2
    assert "needs two runs" in capsys.readouterr().err
    shutil.copytree(tmp_path / "runs" / "one", tmp_path / "runs" / "copy")
    assert main(["report", "one", "copy", "--compare", *home]) == 2
    assert "20261122-101500-one is given more than once" in capsys.readouterr().err


def changed(root: Path, run_id: str, **plan: Any) -> Summary:
    """The run in `root` under another name, with these values in its plan, or `threshold_pct` in its manifest."""
    run = read(root)
    threshold = plan.pop("threshold_pct", run.manifest.threshold_pct)
    manifest = replace(run.manifest, run_id=run_id, threshold_pct=threshold, primary=plan.pop("primary", ()))
    return summarize(replace(run, manifest=manifest, plan=replace(run.plan, run_id=run_id, **plan)))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write(tmp_path_factory.mktemp("run") / "run", requests=30)


def test_cells_of_another_size_are_refused_on_every_clock(root: Path) -> None:
    run = read(root)
    lives = tuple(
        replace(life, cells=tuple(replace(cell, requests=cell.requests * 2) for cell in life.cells))
        for life in run.plan.lives
    )
    runs = [changed(root, "one"), changed(root, "two", lives=lives)]
    for of in (runs, [replace(one, clock="counted") for one in runs]):
        assert several.differences(of) == ["requests per cell: 30 (one), 60 (two)"]


def test_other_requests_gates_or_thresholds_are_refused(root: Path) -> None:
    plan = read(root).plan
    first, *others = plan.requests
    unlike: dict[str, dict[str, Any]] = {
        "requests": {"requests": (replace(first, path="/other", method="POST"), *others)},
        "gates": {"gates": replace(plan.gates, late_shift_max=9.0)},
        "thresholds": {"threshold_pct": {"cpu_s_per_1k_requests": 40.0}},
    }
    said = {
        "requests": f'requests: {first.type}.method "GET" (one), {first.type}.method "POST" (two)',
        "gates": "gates: late_shift_max 0.02 (one), late_shift_max 9.0 (two)",
        "thresholds": "thresholds: cpu_s_per_1k_requests 2 % (one), cpu_s_per_1k_requests 40 % (two)",
    }
    one = changed(root, "one")
    assert several.differences([one, changed(root, "two")]) == []
    for what, values in unlike.items():
        (why,) = several.differences([one, changed(root, "two", **values)])
        assert why.startswith(f"{what}: "), why
        assert said[what] == why
    (why,) = several.differences([one, replace(one, provenance=replace(one.provenance, schema=0))])
    assert why.startswith("schema: 1 (one), 0")


def test_a_threshold_that_is_written_out_is_the_one_that_is_left_out(root: Path) -> None:
    written = {"cpu_s_per_1k_requests": 2.0, "rss_mib": 5.0}
    runs = [changed(root, "one", threshold_pct={}), changed(root, "two", threshold_pct=written)]
    assert several.differences(runs) == []


def test_no_header_or_body_of_a_request_is_in_the_summary(root: Path) -> None:
    first, *others = read(root).plan.requests
    secret = replace(first, headers={"Authorization": "s3cret"}, body="s3cret")
    one, two = changed(root, "one"), changed(root, "two", requests=(secret, *others))
    assert "s3cret" not in str(encode(two.provenance))
    (why,) = several.differences([one, two])
    assert why.startswith(f"requests: {first.type}.body sha256 ")


def test_the_fix_names_what_must_be_the_same(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lab.cli import main

    for name, requests in (("one", 30), ("two", 40)):
        synthetic.write(tmp_path / "runs" / name, requests=requests, run_id=f"20261122-101500-{name}")
    assert main(["report", "one", "two", "--compare", "--home", str(tmp_path)]) == 2
    assert "compare runs with the same requests per cell" in capsys.readouterr().err


def test_the_rows_are_those_of_all_runs_in_one_order(root: Path) -> None:
    one = changed(root, "one", primary=("cpu_s_per_1k_requests",))
    two = changed(root, "two", primary=("latency_p50_ms",))
    keys = [[(r.form, r.against, r.metric) for r in several.side_by_side(runs)] for runs in ([one, two], [two, one])]
    assert keys[0] == keys[1]
    assert {metric for _, _, metric in keys[0]} == {"cpu_s_per_1k_requests", "latency_p50_ms"}


def test_a_form_that_one_run_lacks_is_named(root: Path) -> None:
    plan = read(root).plan
    forms = {name: form for name, form in plan.forms.items() if name != "ebpf"}
    lives = tuple(life for life in plan.lives if life.form != "ebpf")
    runs = [changed(root, "one"), changed(root, "two", forms=forms, lives=lives)]
    assert several.differences(runs) == []
    for order in (runs, runs[::-1]):
        rows = [row for row in several.side_by_side(order) if row.form == "ebpf"]
        assert rows
        assert not any(row.words_equal for row in rows)
        said = several.lines(rows)
        assert "  two: not in this run" in said
        assert any(line.endswith("no common verdict") for line in said)


def without(root: Path, run_id: str, *forms: str) -> Summary:
    """The run in `root` in which no cell of these forms is valid."""
    run = read(root)
    cells = tuple(replace(c, cell=replace(c.cell, valid=False)) if c.cell.form in forms else c for c in run.cells)
    manifest = replace(run.manifest, run_id=run_id)
    return summarize(replace(run, manifest=manifest, plan=replace(run.plan, run_id=run_id), cells=cells))


def test_invalid_is_no_verdict(root: Path) -> None:
    good = changed(root, "good")
    for runs in ([without(root, "one", "ebpf"), without(root, "two", "ebpf")], [good, without(root, "one", "ebpf")]):
        rows = several.side_by_side(runs)
        said = several.lines([row for row in rows if row.form == "ebpf"])
        assert "  no common verdict" in said
        assert not any("the same verdict" in line or "different verdicts" in line for line in said)
        assert {row.words_equal for row in rows if row.form == "ebpf"} == {False}
        assert {row.words_equal for row in rows if row.form != "ebpf"} == {True}


def test_a_run_without_any_cell_has_the_load_of_its_plan(root: Path) -> None:
    run = read(root)
    none = summarize(replace(run, manifest=replace(run.manifest, run_id="none"), cells=()))
    assert several.differences([changed(root, "one"), none]) == []
    lives = tuple(
        replace(life, cells=tuple(replace(cell, rate_rps=7.0) for cell in life.cells)) for life in run.plan.lives
    )
    (why,) = several.differences([changed(root, "one"), changed(root, "two", lives=lives)])
    assert why.startswith("load: 6 requests/s of ")
    assert " 7 requests/s of " in why
