"""What the rehearsals that count say; those on other inputs are no cause while some on today's are there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from lab.stage.diagnosis.critic import Critic
from lab.stage.history import ledger, takes
from lab.stage.history.inputs import Inputs
from lab.stage.history.ledger import BeatResult, Figure
from lab.stage.play import opening
from lab.stage.stream.events import Value
from tests.unit.stage.scripted import a_beat, a_lab, a_show
from tests.unit.stage.test_ledger import INPUTS, PASSED, rehearsal

EDITED = dataclasses.replace(INPUTS, show="6" * 64)


def changed(*inputs: Inputs) -> tuple[str, ...]:
    """Of rehearsals on these, one after the other, today on INPUTS."""
    return Critic.of([rehearsal(n, inputs=one) for n, one in enumerate(inputs)], INPUTS).changed


def test_an_edit_that_was_taken_back_is_no_drift() -> None:
    assert changed(*[INPUTS] * 5, EDITED) == ()
    (told,) = changed(*[EDITED] * 5)
    assert told.startswith("show")


def test_what_failed_in_a_beat_that_the_slot_cuts_takes_no_baseline_away() -> None:
    missed = (PASSED[0], BeatResult(beat="attach", outcome="missed", seconds=8.0))
    short = [rehearsal(n, beats=PASSED[:1]) for n in range(5)]
    all_ = [*short, rehearsal(6, beats=missed)]
    assert len(Critic.of(all_, INPUTS, ["one"]).counted) == 6
    assert len(Critic.of(all_, INPUTS, ["one", "attach"]).counted) == 5
    assert len(Critic.of(short, INPUTS, ["one", "attach"]).counted) == 5, "of the beats that they have"


def test_a_rehearsal_that_went_wrong_takes_no_baseline_away() -> None:
    """Every clean one on these inputs counts for the values; that they came in a row is for stage-ready alone."""
    figure = Figure(beat="one", name="x", unit="ms", value=10.0)
    clean = [rehearsal(n, figures=(dataclasses.replace(figure, value=10 + n / 10),)) for n in range(5)]
    missed = (PASSED[0], BeatResult(beat="attach", outcome="skipped", seconds=8.0))
    far = (dataclasses.replace(figure, value=99.0),)
    for wrong in (rehearsal(6, beats=missed, figures=far), rehearsal(6, beats=PASSED[:1], figures=far, whole=False)):
        critic = Critic.of([*clean[:3], wrong, *clean[3:], wrong], INPUTS, ["one", "attach"])
        assert [one.id for one in critic.counted] == [one.id for one in clean]
        value = Value(at_ms=0, name="x", title="x", value=10.2, unit="ms")
        assert critic.judged("one", value, {}).judged == "on"  # type: ignore[union-attr]


def test_a_show_is_judged_by_the_beats_of_its_slot(tmp_path: Path) -> None:
    lab, show = a_lab(tmp_path), a_show(tmp_path)
    beats = (a_beat("one", lambda _: None), a_beat("attach", lambda _: None))
    missed = (PASSED[0], BeatResult(beat="attach", outcome="missed", seconds=8.0))
    ledger.add(takes.folder(lab.paths, "lab", show.name), rehearsal(1, beats=missed))
    for slot, counted in ((beats[:1], 1), (beats, 0)):
        assert len(opening.side(lab, "lab", show, slot, [], INPUTS).critic.counted) == counted


def test_without_any_rehearsal_nothing_has_changed() -> None:
    assert changed() == ()
