"""The live terminal, drawn into a string."""

from __future__ import annotations

import io

from rich.console import Console

from lab.model.events import StepFinished, StepStarted
from lab.render.terminal import Terminal
from tests.unit.render.records import record, story


def drawn(*, verbose: bool = False, live: bool = False) -> str:
    """All that reached the console; without `live` only what stays."""
    console = Console(file=io.StringIO(), width=100, force_terminal=live, _environ={"TERM": "xterm"})
    with Terminal(verbose=verbose, console=console) as view:
        for each in story():
            view(each)
            if live:
                view._bars.refresh()
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_what_stays_is_one_line_a_step_and_every_warning() -> None:
    assert [line.rstrip() for line in drawn().splitlines() if line.strip()] == [
        "info: from the cache",
        "warning: no [kvm]",
        "  fail qemu: missing",
        "       fix: apt [x]",
        "    0-0-ebpf: INVALID: late [sends]",
        "  ✓ bake the image 3 min 05 s kept",
        "✗ demo [shop] 7.1 s no [run]",
    ]


def test_verbose_adds_what_tools_say_and_checks_that_passed() -> None:
    said = drawn(verbose=True)
    assert "│ unpacking [bold]" in said
    assert "ok disk: enough" in said


def test_while_it_runs_the_count_the_bytes_and_the_last_line_are_seen() -> None:
    said = drawn(live=True)
    for part in ("1/2", "demo [shop]", "bake the image", "3.0 MiB of 190 MiB", "unpacking [bold]"):
        assert part in said, part


def test_a_code_page_without_the_signs_gets_words_that_differ() -> None:
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding="cp1252", errors="strict"), width=100, force_terminal=True)
    with Terminal(console=console) as view:
        for each in story():
            view(each)
            view._bars.refresh()
    console.file.flush()
    said = raw.getvalue().decode("cp1252")
    assert "ok bake the image" in said.replace("\x1b[32m", "").replace("\x1b[0m", "")
    assert "FAILED" in said


def test_deep_steps_that_ended_well_scroll_nothing_away() -> None:
    console = Console(file=io.StringIO(), width=100)
    with Terminal(console=console) as view:
        for depth, name in enumerate(("a", "b", "c"), start=1):
            view(record(StepStarted(name=name, title=name), step=depth, parent=depth - 1))
        view(record(StepFinished(name="c", outcome="done", seconds=1), step=3, parent=2))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().strip() == ""
