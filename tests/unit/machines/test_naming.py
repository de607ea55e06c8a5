"""Which machine is meant where nobody named one: README's order needs no `down` between a qemu and a local machine."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from lab.machines import naming, state
from lab.machines.providers import PROVIDERS
from lab.model.config import Config
from lab.model.errors import UsageError
from lab.model.lab import Lab
from lab.model.machine import Machine, MachineConfig
from tests.support import lab_at


def at(home: Path, provider: str = "qemu") -> Lab:
    return lab_at(home, Config(machine=MachineConfig(provider=provider)))


def make(home: Path, provider: str, name: str = "") -> str:
    """As `up` without a name, or with one, leaves it."""
    lab = at(home, provider)
    named = name or naming.wanted(lab)
    state.save(lab, Machine(spec=replace(lab.config.machine.spec(), name=named)))
    return named


@pytest.mark.parametrize("order", list(permutations(("qemu", "local", "ssh"))))
def test_each_provider_has_a_default_machine_in_any_order(tmp_path: Path, order: tuple[str, ...]) -> None:
    made = {provider: make(tmp_path, provider) for provider in order}
    assert made == {"qemu": "lab", "local": "lab-local", "ssh": "lab-ssh"}
    assert {provider: make(tmp_path, provider) for provider in order} == made, "a second `up` means the same one"
    assert naming.defaults(at(tmp_path)) == ["lab", "lab-local", "lab-ssh"]


@pytest.mark.parametrize("old", [provider for provider in PROVIDERS if provider != "qemu"])
def test_an_older_home_s_machine_lab_goes_on(tmp_path: Path, old: str) -> None:
    make(tmp_path, old, "lab")
    assert naming.wanted(at(tmp_path, old)) == "lab"
    assert make(tmp_path, "qemu") == "lab-qemu", "and is in nobody's way"
    assert naming.wanted(at(tmp_path)) == "lab-qemu"
    assert naming.there(at(tmp_path, old)) == "lab"


def test_a_verb_that_uses_a_machine_takes_the_one_that_is_there(tmp_path: Path) -> None:
    lab = at(tmp_path)
    assert naming.there(lab) == "lab"
    make(tmp_path, "local")
    assert naming.there(lab) == "lab-local"
    make(tmp_path, "ssh")
    with pytest.raises(UsageError, match="several machines exist: lab-local, lab-ssh") as error:
        naming.there(lab)
    assert error.value.fix == "choose one: --name lab-local"
    make(tmp_path, "qemu")
    assert naming.there(lab) == "lab", "the configured provider's comes first"
    assert naming.there(at(tmp_path, "ssh")) == "lab-ssh"


def test_a_machine_that_was_named_is_no_default_one(tmp_path: Path) -> None:
    make(tmp_path, "local", "stage")
    assert naming.defaults(at(tmp_path)) == []
    assert naming.wanted(at(tmp_path, "local")) == "lab-local"


def test_state_that_cannot_be_read_hides_no_machine(tmp_path: Path) -> None:
    """`down` without a name works from whatever is on disk."""
    for name, text in (("lab", '{"schema": 99}'), ("lab-local", "")):
        folder = tmp_path / "machines" / name
        folder.mkdir(parents=True)
        (folder / "machine.json").write_text(text)
    assert naming.defaults(at(tmp_path)) == ["lab", "lab-local"]
    assert (naming.wanted(at(tmp_path)), naming.wanted(at(tmp_path, "local"))) == ("lab", "lab-local")
