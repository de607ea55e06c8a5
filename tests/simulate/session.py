"""One made-up session: figures of every cell, in the order of its blocks, as the real verdict takes them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from lab.guest.scoring.gates import Validity
from lab.guest.scoring.tally import Tally
from lab.guest.wire import COUNTED, Cell
from lab.model.metrics import METRICS, PRIMARY, REAL, CellFigures, Metric
from lab.model.run import RunCell
from lab.model.summary import Verdict
from lab.verdict.cells.cell_view import CellView
from lab.verdict.cells.observe import FormView
from lab.verdict.compare import Terms, rows
from tests.simulate.noise import Lives, Noise

ROLES: Final = {"baseline": "baseline", "twin": "twin", "a": "instrumented", "b": "instrumented"}
LEVEL: Final = "one"
SHIFT: Final = {"p50": 0.0, "p90": 0.0, "p99": 0.0}
TALLY: Final = Tally((), (), {}, {}, {}, {"get": 1000}, 0)
CPU_S, P50_MS, INSTRUCTIONS = 0.2, 0.4, 2.3e9
CELL: Final = Cell(
    id="", block=1, form="", level=LEVEL, attempt=1, valid=True, reasons=(), gates=(), rate_rps=100, achieved_rps=100,
    scheduled=1000, completed=1000, late=0, unexpected=0, window_start_ns=0, window_end_ns=1, window_s=10, usage=(),
    busy_s=0, steal_s=0, irq_s=0, psi={}, bpf_run_s=None, attach_s=None, first_span_s=None, startup_s=0, sentinel_s=0,
    spans={}, spans_total=1000, by_type={}, delay_ns=None, build_ids={}, boot_id="",
)  # fmt: skip


class Judged(Terms):
    """Only what may earn a word is compared, which is what takes the time."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return tuple(METRICS[name] for name in self.primary)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is simulated: noise of CPU and latency, blocks, true effects, and the order of the forms in a block."""

    noise: tuple[Noise, Noise] | Lives
    blocks: int = 8
    factor: Mapping[str, float] | None = None  # form -> what it multiplies both figures by; absent: nothing
    fixed_order: bool = False
    first: float = 1.0  # what the first cell of each block is multiplied by
    alone: bool = False  # one comparison is the whole family: its interval is at 95 %
    threshold_pct: float | None = None


def session(setup: Setup, seed: object) -> dict[str, FormView]:
    """All forms with their cells. The order is drawn per block as lab.runs.plan draws it, or always the same."""
    draw = random.Random(f"session/{seed}")
    if callable(setup.noise):
        return {form: _form(form, _counted(setup, setup.noise, form, draw)) for form in ROLES}
    order = [(block, form) for block in range(1, setup.blocks + 1) for form in _block(setup, draw)]
    cpu, p50 = (noise(draw, len(order)) for noise in setup.noise)
    views: dict[str, list[CellView]] = {form: [] for form in ROLES}
    for at, (block, form) in enumerate(order):
        factor = (setup.factor or {}).get(form, 1.0) * (setup.first if at % len(ROLES) == 0 else 1.0)
        views[form].append(_view(form, block, CPU_S * cpu[at] * factor, P50_MS * p50[at] * factor))
    return {form: _form(form, cells) for form, cells in views.items()}


def at_rates(of: dict[str, FormView]) -> FormView:
    """The same form at several rates: at twice the rate it answers twice as many in the same time."""
    attempts = []
    for rate, form in of.items():
        times = float(rate) / 20
        for view in form.attempts:
            cpu = view.figures.cpu_s or 0.0
            figures = replace(view.figures, requests=round(1000 * times), cpu_s=0.05 + cpu * times)
            cell = replace(view.cell, level=rate, rate_rps=float(rate))
            attempts.append(replace(view, source=replace(view.source, cell=cell), figures=figures))
    planned = Counter(view.cell.level for view in attempts)
    return replace(next(iter(of.values())), attempts=tuple(attempts), planned=planned)


def verdicts(setup: Setup, seed: object) -> list[Verdict]:
    """The verdict over it, with the controls taken as seen and no noise known from before: when most can go wrong."""
    given = {} if setup.threshold_pct is None else dict.fromkeys(PRIMARY, setup.threshold_pct)
    counted = callable(setup.noise)
    terms = Judged(
        grade=COUNTED if counted else "ready",
        clock=COUNTED if counted else REAL,
        levels=(LEVEL,),
        instrumented=2 if not setup.alone else 1,
        named=PRIMARY if not setup.alone else PRIMARY[:1],
        threshold_pct=given,
        seen={"cpu": True, "wait": True},
    )
    return rows(session(setup, seed), terms)


def primary(found: Sequence[Verdict]) -> list[Verdict]:
    return [row for row in found if row.primary]


def _block(setup: Setup, draw: random.Random) -> list[str]:
    order = list(ROLES)
    if not setup.fixed_order:
        draw.shuffle(order)
    return order


@cache
def _source(form: str, block: int) -> RunCell:
    return RunCell(cell=replace(CELL, form=form, block=block, id=f"{block}-{form}"), folder=f"cells/{block}-{form}")


def _counted(setup: Setup, lives: Lives, form: str, draw: random.Random) -> list[CellView]:
    """A form's cells on the counted clock: those of one life follow each other, so their order among forms is none."""
    noise = lives(draw, ROLES[form], setup.blocks)
    factor = INSTRUCTIONS * (setup.factor or {}).get(form, 1.0)
    return [_view(form, at + 1, CPU_S, P50_MS, instructions=factor * one) for at, one in enumerate(noise)]


def _view(form: str, block: int, cpu_s: float, p50_ms: float, instructions: float | None = None) -> CellView:
    return CellView(
        source=_source(form, block),
        figures=CellFigures(
            requests=1000,
            spans=1000,
            window_s=10,
            cpu_s=cpu_s,
            rss_mib=20.0,
            instructions=instructions,
            latencies={"get": (p50_ms,) * 5},
        ),
        tally=TALLY,
        disagreements=(),
        validity=Validity(),
        late_shift=SHIFT,
    )


def _form(name: str, cells: Sequence[CellView]) -> FormView:
    role = ROLES[name]
    mechanism = "compile-time" if role == "instrumented" else "none"
    return FormView(
        name=name,
        role=role,  # type: ignore[arg-type]
        mechanism=mechanism,
        attempts=tuple(cells),
        planned={LEVEL: len(cells)},
        scores=(),
    )
