"""When idle time is executed; in the machine itself tests/e2e/scripts/2-demo.txt sees that a run unloads the module."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.guest.linux import idle
from lab.guest.run import launch


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is run, on a machine whose image has the module."""
    calls: list[str] = []

    def run(argv: list[str]) -> bool:
        calls.append(Path(argv[0]).name)
        return True

    module = tmp_path / "lab_idle.ko"
    module.touch()
    monkeypatch.setattr(idle, "MODULE", str(module))
    monkeypatch.setattr(idle, "LOADED", str(tmp_path / "loaded"))
    monkeypatch.setattr(idle, "_ran", run)
    return calls


def test_it_is_loaded_for_the_run_and_unloaded_after_it(ran: list[str]) -> None:
    def fails() -> None:
        with idle.executed(wanted=True) as does:
            assert does
            assert ran == ["insmod"]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert ran == ["insmod", "rmmod"]


def test_one_that_a_killed_run_left_is_used_and_unloaded(ran: list[str], tmp_path: Path) -> None:
    (tmp_path / "loaded").mkdir()
    with idle.executed(wanted=True) as does:
        assert does
    assert ran == ["rmmod"]


def test_a_real_clock_and_a_machine_without_the_module_idle_as_they_are(
    ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with idle.executed(wanted=False) as does:
        assert not does
    monkeypatch.setattr(idle, "MODULE", "/nowhere")
    with idle.executed(wanted=True) as does:
        assert not does
    assert ran == []


def test_a_module_that_the_kernel_refuses_changes_nothing(monkeypatch: pytest.MonkeyPatch, ran: list[str]) -> None:
    monkeypatch.setattr(idle, "_ran", lambda _: False)
    with idle.executed(wanted=True) as does:
        assert not does


def test_systemd_unloads_it_when_a_killed_run_is_gone(ran: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with_it = launch.unit_argv("unit", ["guest"], Path("/out"))
    assert "--property=ExecStopPost=-/sbin/rmmod lab_idle" in with_it
    monkeypatch.setattr(idle, "MODULE", "/nowhere")
    assert not any("ExecStopPost" in word for word in launch.unit_argv("unit", ["guest"], Path("/out")))
