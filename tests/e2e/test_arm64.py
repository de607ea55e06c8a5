"""A machine of another kind than this host, in full: image, binaries, BPF objects, forms, report. All of it emulated.

Needs what `lab doctor --install --arch …` installs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.model.machine import HOST_ARCH, Arch
from tests.support import Ran, own_home, run_lab

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(5400)]
OTHER: Arch = "aarch64" if HOST_ARCH == "x86_64" else "x86_64"
NAME = "other"
FORMS = ("baseline", "twin", "orchestrion-otel", "ebpf")


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with own_home("arch") as home:
        yield home


def good(ran: Ran) -> Ran:
    assert ran.code == 0, ran.stderr[-3000:]
    return ran


def said(home: Path, *argv: str) -> str:
    return good(run_lab("exec", "--name", NAME, "--", *argv, home=home, limit_s=300)).stdout.strip()


def test_a_machine_of_the_other_kind(home: Path) -> None:
    good(run_lab("up", NAME, "--arch", OTHER, home=home, limit_s=2400))
    assert said(home, "uname", "-m") == OTHER
    assert "go1.26.1" in said(home, "go", "version")
    assert "clang" in said(home, "clang", "--version")
    assert "already ready" in good(run_lab("up", NAME, "--arch", OTHER, home=home)).stderr


def test_its_forms_are_proven_and_measured(home: Path) -> None:
    argv = ("demo", "--name", NAME, "--arch", OTHER, "--form", ",".join(FORMS), "--yes", "--json")
    ran = run_lab(*argv, home=home, limit_s=2700)
    assert ran.code in {0, 6}, ran.stderr[-3000:]  # 6: a busy host made a cell INVALID
    run = Path(json.loads(ran.stdout.splitlines()[-1])["result"]["run_dir"])
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    assert summary["grade"]["word"] == "emulated"
    assert json.loads((run / "manifest.json").read_text(encoding="utf-8"))["guest"]["arch"] == OTHER
    found = summary["forms"]
    assert found["orchestrion-otel"]["coverage"]["ratio"] == 1.0
    assert found["ebpf"]["conformance"]["ratio"] == pytest.approx(1.0, abs=0.02)
    assert [found[name]["coverage"]["received"] for name in ("baseline", "twin")] == [0, 0]
