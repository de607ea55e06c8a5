"""The live terminal: running steps with time, bytes and the last line of output; finished ones scroll up."""

from __future__ import annotations

from typing import Final, Self

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from lab.model.events import (
    CheckDone,
    GuestEvent,
    Notice,
    Output,
    Progress,
    Record,
    StepFinished,
    StepStarted,
)
from lab.model.figures import seconds
from lab.render import wording

MARKS: Final = {
    "done": "[green]✓[/]",
    "skipped": "[dim]·[/]",
    "failed": "[red]✗[/]",
    "interrupted": "[yellow]■[/]",
}
# For a code page without these characters (cp1252), which would show each as a question mark.
ASCII_MARKS: Final = {
    "done": "[green]ok[/]",
    "skipped": "[dim]-[/]",
    "failed": "[red]FAILED[/]",
    "interrupted": "[yellow]stopped[/]",
}
COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "red"}
SAID_WIDTH: Final = 48


class Terminal:
    """Draws on stderr with rich, which handles NO_COLOR and narrow windows."""

    def __init__(self, *, verbose: bool = False, console: Console | None = None) -> None:
        self._verbose = verbose
        self._console = console or Console(stderr=True)
        plain = not wording.shows_unicode(self._console.encoding)
        self._marks = ASCII_MARKS if plain else MARKS
        self._bars = Bars(
            SpinnerColumn("line" if plain else "dots"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=18),
            TextColumn("[dim]{task.fields[said]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            console=self._console,
            transient=True,
        )
        self._tasks: dict[int, TaskID] = {}
        self._titles: dict[int, tuple[str, int]] = {}
        self._depth: dict[int, int] = {0: -1}
        self._checked: list[CheckDone] = []

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._bars.stop()

    def __call__(self, record: Record) -> None:
        event = record.event
        match event:
            case StepStarted():
                self._start(record, event)
            case StepFinished():
                self._finish(record, event)
            case Progress():
                self._update(record.step, said=wording.progress(event), completed=event.done, total=event.total)
            case Output():
                if self._verbose:
                    self._print(f"[dim]  │ {escape(event.text)}[/]")
                self._update(record.step, said=event.text.strip()[:SAID_WIDTH])
            case Notice():
                colour = "yellow" if event.level == "warning" else "cyan"
                self._print(f"[{colour}]{event.level}:[/] {escape(event.text)}")
            case CheckDone():
                if self._verbose or event.verdict != "ok":
                    self._check(event)
            case GuestEvent():
                text = wording.guest(event)
                if text and event.kind in ("proof", "cell", "notice", "failed"):
                    self._print(f"    [dim]{escape(text)}[/]")
                elif text:
                    self._update(record.step, said=text[:SAID_WIDTH])

    def _check(self, event: CheckDone) -> None:
        """Print a finding once, even when several steps check it; its fix is on a separate line."""
        if event in self._checked:
            return
        self._checked.append(event)
        mark = f"[{COLOURS[event.verdict]}]{event.verdict:>4}[/]"
        self._print(Padding(f"{mark} {escape(event.name)}: {escape(event.message)}", (0, 0, 0, 2)))
        if event.fix:
            self._print(Padding(f"[dim]fix:[/] {escape(event.fix)}", (0, 0, 0, 7)))

    def _start(self, record: Record, event: StepStarted) -> None:
        depth = self._depth.get(record.parent, -1) + 1
        self._depth[record.step] = depth
        self._titles[record.step] = (event.title, depth)
        count = f"[dim]{event.index}/{event.of}[/] " if event.index and event.of else ""
        text = "  " * depth + count + escape(event.title)
        self._tasks[record.step] = self._bars.add_task(text, total=None, said="")

    def _finish(self, record: Record, event: StepFinished) -> None:
        task = self._tasks.pop(record.step, None)
        if task is not None:
            self._bars.remove_task(task)
        title, depth = self._titles.pop(record.step, (event.name, 0))
        note = f" [dim]{escape(event.message)}[/]" if event.message else ""
        if event.outcome in ("done", "skipped") and depth > 1 and not self._verbose:
            return
        mark = "  " * depth + self._marks[event.outcome]
        self._print(f"{mark} {escape(title)} [dim]{seconds(event.seconds)}[/]{note}")

    def _update(self, step: int, *, said: str, completed: float | None = None, total: float | None = None) -> None:
        task = self._tasks.get(step)
        if task is not None:
            self._bars.update(task, said=escape(said), completed=completed, total=total)

    def _print(self, text: str | Padding) -> None:
        self._console.print(text, highlight=False)
