"""A side that lost more of its cells than the other shows only its better ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lab.guest.scoring.gates import EVERYTHING, Validity
from lab.guest.scoring.saturation import Queue
from lab.guest.wire import Gate
from lab.model.run import Run
from lab.model.summary import Verdict
from lab.runs.read import read
from lab.verdict import summarize
from lab.verdict.cells.cell_view import CellView
from lab.verdict.cells.observe import FormView
from lab.verdict.compare import Terms, rows
from tests.simulate.noise import normal
from tests.simulate.session import Setup, at_rates, session
from tests.unit.report import synthetic
from tests.unit.verdict.test_summary import row


def test_losing_more_cells_than_the_other_side_is_biased(tmp_path: Path) -> None:
    run = read(synthetic.write(tmp_path / "run", blocks=3, requests=60))
    cells = tuple(
        replace(c, cell=replace(c.cell, valid=False)) if c.cell.form == "ebpf" and c.cell.block < 3 else c
        for c in run.cells
    )
    found = row(summarize(replace(run, cells=cells)), "ebpf", "baseline", "cpu_s_per_1k_requests")
    assert found.word == "BIASED"
    assert found.reasons[0].startswith("2 of 3 cells of ebpf have no valid figure (2 attempts INVALID), 0 of 6 on")
    assert row(summarize(run), "ebpf", "baseline", "cpu_s_per_1k_requests").blocks == 3


@pytest.mark.parametrize("form", ["twin", "ebpf"])
def test_one_lost_cell_is_no_difference_of_shares_and_cells_that_never_ran_are_told(tmp_path: Path, form: str) -> None:
    run = read(synthetic.write(tmp_path / "run", blocks=3, requests=60))

    def cpu(of: Run) -> Verdict:
        return row(summarize(of), "ebpf", "baseline", "cpu_s_per_1k_requests")

    void = [replace(c, cell=replace(c.cell, valid=False)) if c.cell.block == 2 else c for c in run.cells]
    one_void = tuple(new if old.cell.form == form else old for old, new in zip(run.cells, void, strict=True))
    one_gone = tuple(c for c in run.cells if c.cell.form != form or c.cell.block != 2)
    assert {cpu(replace(run, cells=cells)).word for cells in (one_void, one_gone)} == {"INDICATIVE"}
    more_gone = tuple(c for c in run.cells if c.cell.form != "ebpf" or c.cell.block == 1)
    found = cpu(replace(run, cells=more_gone))
    assert found.word == "BIASED"
    assert found.reasons[0].startswith("2 of 3 cells of ebpf have no valid figure (2 never ran), 0 of 6 on the other")


RATES = ("20", "40", "60")
CPU = "cpu_s_per_1k_requests"


Change = Callable[[FormView], FormView]


def without(level: str, blocks: int = 4) -> Change:
    """The form whose first cells at this level are void."""
    return changed(lambda view: replace(view, validity=Validity().but(EVERYTHING, "errors: 3")), level, blocks)


def changed(change: Callable[[CellView], CellView], level: str, blocks: int = 4) -> Change:
    """The form whose first cells at this level are changed."""

    def made(form: FormView) -> FormView:
        found = (change(v) if v.cell.level == level and v.cell.block <= blocks else v for v in form.attempts)
        return replace(form, attempts=tuple(found))

    return made


def every(changes: dict[str, Change]) -> list[Verdict]:
    """The rows of form a, which costs more, against the baseline, where these forms are changed."""
    setup = Setup(noise=(normal(0.002), normal(0.002)), factor={"a": 1.5}, blocks=12)
    made = {rate: session(setup, rate) for rate in RATES}
    forms = {name: at_rates({rate: views[name] for rate, views in made.items()}) for name in made["20"]}
    forms |= {name: change(forms[name]) for name, change in changes.items()}
    terms = Terms(grade="ready", levels=RATES, instrumented=2, seen={"cpu": True, "wait": True})
    return [one for one in rows(forms, terms) if (one.form, one.against) == ("a", "baseline")]


def words(changes: dict[str, Change]) -> dict[str, Verdict]:
    """Level -> the row of CPU; of all levels, the last of those that are fitted."""
    return {one.level: one for one in every(changes) if one.metric == CPU or one.level == "all"}


def test_cells_lost_at_one_level_bias_that_level_and_what_is_fitted_over_all() -> None:
    found = words({"a": without("60")})
    assert {level: one.word for level, one in found.items()} == {
        "20": "INDICATIVE",
        "40": "COSTS MORE",
        "60": "BIASED",
        "all": "BIASED",
    }
    assert found["60"].reasons[0].startswith("4 of 12 cells of a have no valid figure (4 attempts INVALID), 0 of 24 on")
    assert found["all"].reasons[0].startswith("4 of 36 cells of a have no valid figure (4 attempts INVALID), 0 of 72")


def test_as_many_cells_lost_at_another_level_do_not_even_it_out() -> None:
    found = words({"a": without("40"), "baseline": without("20"), "twin": without("20")})
    assert found["40"].word == "BIASED"
    assert found["20"].word == "BIASED"


@pytest.mark.parametrize("cpu_s", [None, 0.0, -1.0])
def test_valid_cells_without_a_number_are_lost_as_well(cpu_s: float | None) -> None:
    """A counter that is gone, or that reads zero, gives no figure whatever the gates say."""
    gone = changed(lambda view: replace(view, figures=replace(view.figures, cpu_s=cpu_s)), "40")
    found = words({"a": gone})
    assert (found["20"].word, found["40"].word) == ("INDICATIVE", "BIASED")
    said = "4 of 12 cells of a have no valid figure (4 without a reading above zero), 0 of 24 on the other side"
    assert found["40"].reasons == (said,)
    if cpu_s is None:
        assert found["all"].word == "BIASED"
    both = words(dict.fromkeys(("a", "baseline", "twin"), gone))
    assert both["40"].word == "COSTS MORE", "the same blocks on both sides"


def test_a_reference_that_reads_zero_is_no_loss_where_the_other_one_does_not() -> None:
    """It counts in their mean."""
    gone = changed(lambda view: replace(view, figures=replace(view.figures, cpu_s=0.0)), "40", 3)
    assert words({"twin": gone})["40"].word == "COSTS MORE"
    assert words({"twin": gone, "baseline": gone})["40"].word == "BIASED"


def test_percentiles_that_late_sends_moved_are_lost() -> None:
    moved = changed(lambda view: replace(view, late_shift={"p50": 0.2, "p90": 0.0, "p99": 0.0}), "40")
    judged = {name: lambda form: replace(form, late_shift_max=0.02) for name in ("baseline", "twin")}
    found = every({**judged, "a": lambda form: replace(moved(form), late_shift_max=0.02)})
    (latency,) = [one for one in found if (one.metric, one.level) == ("latency_p50_ms", "40")]
    assert latency.word == "BIASED"
    assert (
        "4 of 12 cells of a have no valid figure (4 with too few answers or moved by late sends)" in latency.reasons[0]
    )


FULL = Queue(sent=1000, answered=300, timed_out=500, mean=(2.0, 20.0, 80.0, 200.0))
CALM = Queue(sent=1000, answered=995, timed_out=0, mean=(2.0, 2.0, 2.1, 2.0))
MISSED = Gate("completed", False, 0.5, 0.995, "completed ÷ scheduled")


def full(view: CellView, *, void: bool) -> CellView:
    """The cell under more load than its form sustains, of which fewer requests are answered and paid for."""
    cell = replace(view.cell, valid=not void, gates=(MISSED,) if void else ())
    cheap = replace(view.figures, cpu_s=0.7 * (view.figures.cpu_s or 0.0))
    kept = Validity().but(EVERYTHING, "completed: 0.5") if void else view.validity
    return replace(view, source=replace(view.source, cell=cell), queue=FULL, figures=cheap, validity=kept)


def saturated(blocks: int, *, void: bool) -> dict[str, Change]:
    def made(form: FormView) -> FormView:
        queued = replace(form, attempts=tuple(replace(view, queue=CALM) for view in form.attempts))
        return changed(lambda view: full(view, void=void), "60", blocks)(queued)

    return {"a": made}


@pytest.mark.parametrize("void", [True, False])
def test_a_level_that_is_too_much_saturates_what_is_fitted_over_all(void: bool) -> None:
    """The cells of the other levels do not outvote it."""
    found = every(saturated(12, void=void))
    of = {(one.metric, one.level): one.word for one in found if one.metric == CPU or one.level == "all"}
    assert of == {
        (CPU, "20"): "INDICATIVE",
        (CPU, "40"): "COSTS MORE",
        (CPU, "60"): "SATURATED",
        ("cpu_marginal_ms", "all"): "SATURATED",
        ("cpu_standing_ms", "all"): "SATURATED",
    }
    assert all("a did not sustain this load" in one.reasons[0] for one in found if one.level == "all")


def test_void_saturated_cells_are_lost_where_they_are_too_few_to_call_the_level_so() -> None:
    """What is left are the blocks in which the form kept up."""
    found = words(saturated(4, void=True))
    assert {level: one.word for level, one in found.items()} == {
        "20": "INDICATIVE",
        "40": "COSTS MORE",
        "60": "BIASED",
        "all": "BIASED",
    }
    assert "4 of 12 cells of a have no valid figure (4 saturated), 0 of 24 on" in found["60"].reasons[0]
    assert words(saturated(7, void=True))["60"].word == "SATURATED"
    assert words(saturated(4, void=False))["60"].word == "INDICATIVE", "they have their figures"
