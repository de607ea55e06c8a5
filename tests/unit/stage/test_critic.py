"""What the rehearsals that count say; those on other inputs are no cause while some on today's are there."""

from __future__ import annotations

import dataclasses

from lab.stage.diagnosis.critic import Critic
from lab.stage.history.inputs import Inputs
from tests.unit.stage.test_ledger import INPUTS, rehearsal

EDITED = dataclasses.replace(INPUTS, show="6" * 64)


def changed(*inputs: Inputs) -> tuple[str, ...]:
    """Of rehearsals on these, one after the other, today on INPUTS."""
    return Critic.of([rehearsal(n, inputs=one) for n, one in enumerate(inputs)], INPUTS).changed


def test_an_edit_that_was_taken_back_is_no_drift() -> None:
    assert changed(*[INPUTS] * 5, EDITED) == ()
    (told,) = changed(*[EDITED] * 5)
    assert told.startswith("show")


def test_without_any_rehearsal_nothing_has_changed() -> None:
    assert changed() == ()
