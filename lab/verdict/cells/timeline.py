"""Every attempt of every cell in order of time."""

from __future__ import annotations

from collections.abc import Mapping

from lab.model.metrics import Metric
from lab.model.paths import CELL_FILE
from lab.model.summary import CellAttempt, MissedGate
from lab.verdict.cells.cell_view import given
from lab.verdict.cells.observe import FormView


def timeline(forms: Mapping[str, FormView], cost: Metric) -> tuple[CellAttempt, ...]:
    """Every attempt in order of time, with its cost of a request."""
    assert cost.read is not None
    views = sorted((v for form in forms.values() for v in form.attempts), key=lambda view: view.cell.window_start_ns)
    origin = views[0].cell.window_start_ns if views else 0
    return tuple(
        CellAttempt(
            cell=view.cell.id,
            form=view.cell.form,
            block=view.cell.block,
            level=view.cell.level,
            attempt=view.cell.attempt,
            valid=view.validity.whole,
            void=view.validity.void,
            reasons=given(view.cell),
            start_s=(view.cell.window_start_ns - origin) / 1e9,
            end_s=(view.cell.window_end_ns - origin) / 1e9,
            window_s=view.cell.window_s,
            rate_rps=view.cell.rate_rps,
            achieved_rps=view.cell.achieved_rps,
            scheduled=view.cell.scheduled,
            completed=view.cell.completed,
            late=view.cell.late,
            sentinel_s=view.cell.sentinel_s,
            steal_s=view.cell.steal_s,
            queue=view.queue.mean if view.queue else (),
            saturated=view.saturated,
            clock_shift_ms=view.tally.lag_ns / 1e6 if view.tally else 0.0,
            missed=tuple(
                MissedGate(gate=gate.name, value=gate.value, limit=gate.limit, hard=gate.hard)
                for gate in view.cell.gates
                if not gate.ok
            ),
            gates=len(view.cell.gates),
            disagreements=view.disagreements,
            cost=cost.read(view.figures) if view.validity.holds(*cost.families) else None,
            as_counted=cost.read(view.as_counted) if view.validity.holds(*cost.families) else None,
            collections=view.cell.collections,
            evidence=f"{view.source.folder}/{CELL_FILE}",
        )
        for view in views
    )
