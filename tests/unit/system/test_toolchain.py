"""Where a toolchain is, and when it can be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.model.errors import PreconditionError
from lab.system import toolchain
from lab.system.wait import Deadline
from tests.support import lab_at

VERSION = "go1.99.7"  # no host has it on its PATH


def test_a_toolchain_that_is_still_being_unpacked_is_not_at_hand(tmp_path: Path) -> None:
    """As another command leaves it for a moment: Go unpacks in place, and makes bin/go a program last of all."""
    lab = lab_at(tmp_path)
    system, cpu = toolchain.host_target()
    root = lab.paths.build / "modules" / "golang.org" / f"toolchain@v0.0.1-{VERSION}.{system}-{cpu}"
    go = root / "bin" / toolchain.GO
    go.parent.mkdir(parents=True)
    (root / "VERSION").write_text(f"{VERSION}\n")
    assert toolchain.at_hand(lab, VERSION, Deadline.after(30)) is None
    go.write_text("#!/bin/sh\n")
    go.chmod(0o600)
    assert toolchain.at_hand(lab, VERSION, Deadline.after(30)) is None
    go.chmod(0o700)
    found = toolchain.at_hand(lab, VERSION, Deadline.after(30))
    assert found is not None
    assert found.root == root


def test_one_for_another_architecture_is_fetched_again_where_a_command_was_killed_while_it_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Go keeps a mark beside the archive until a module is whole."""
    lab, cpu = lab_at(tmp_path), "riscv64"
    modules = lab.paths.build / "modules"
    root = modules / "golang.org" / f"toolchain@v0.0.1-{VERSION}.linux-{cpu}"
    root.mkdir(parents=True)
    (root / "VERSION").write_text(f"{VERSION}\n")
    mark = modules / "cache/download/golang.org/toolchain/@v" / f"v0.0.1-{VERSION}.linux-{cpu}.partial"
    mark.parent.mkdir(parents=True)
    mark.touch()

    def fetches(*_: object, **__: object) -> None:
        raise PreconditionError("it would be fetched", fix="nothing")

    monkeypatch.setattr(toolchain, "find", fetches)
    with pytest.raises(PreconditionError):
        toolchain.for_machine(lab, VERSION, cpu, deadline=Deadline.after(30))
    mark.unlink()
    assert toolchain.for_machine(lab, VERSION, cpu, deadline=Deadline.after(30)) == root
