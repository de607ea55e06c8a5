"""Whoever works with a machine that somebody takes down is told so, whatever the connection says."""

from __future__ import annotations

import pytest

from lab.machines import keys, presence, state
from lab.machines.providers.local import provider as local
from lab.model.errors import Cancelled, DemoError, LabError, TransientError
from lab.model.lab import Lab
from lab.model.machine import Machine, MachineSpec

LOST = TransientError("the connection was lost", fix="run the command again")


@pytest.fixture
def machine(lab: Lab) -> Machine:
    directory = lab.paths.machine("m")
    handle = local.recover(keys.seed(directory), "m", directory)
    return state.save(lab, Machine(spec=MachineSpec(name="m", provider="local"), handle=handle))


def test_a_connection_that_is_lost_while_the_machine_is_there_stays_that(lab: Lab, machine: Machine) -> None:
    with pytest.raises(TransientError, match="connection was lost"), presence.explained(lab, machine):
        raise LOST


def test_one_that_is_taken_down_names_the_command(lab: Lab, machine: Machine) -> None:
    presence.note_down(lab, "m")
    said = r"machine m was taken down by `lab .*` \(pid \d+\)"
    with pytest.raises(DemoError, match=said) as caught, presence.explained(lab, machine):
        raise LOST
    assert caught.value.__cause__ is LOST
    with pytest.raises(DemoError) as caught, presence.explained(lab, machine, "lab up m"):
        raise LOST
    assert caught.value.fix == "lab up m"


@pytest.mark.parametrize("error", [Cancelled("stopped", fix="none"), OSError("nobody reads")])
def test_what_is_no_failure_of_the_machine_passes(lab: Lab, machine: Machine, error: LabError | OSError) -> None:
    presence.note_down(lab, "m")
    with pytest.raises(type(error)), presence.explained(lab, machine):
        raise error
