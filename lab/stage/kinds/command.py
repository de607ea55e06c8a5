"""`command`: a program on this host or in the machine, by its argument list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from lab.machines import lifecycle
from lab.model.errors import DemoError
from lab.model.key import key
from lab.stage.beat import host_program
from lab.stage.beat.scene import Scene
from lab.stage.kinds.kind import Around, Faults, Kind
from lab.stage.stream import events
from lab.system import proc

SHOWN: Final = 400  # lines: more than a screen takes


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandBeat(Kind):
    """Run a program; the audience sees what it prints. On this host it runs in the folder of the show file, with your
    own environment: a path in `argv` is relative to that folder, and a name alone is looked for on PATH."""

    NEEDED = ("argv",)
    GIVES = ("text", "value", "inside")
    VALUES = ("exit_code", "command_s")

    argv: tuple[str, ...] = key((), "Program and its arguments; no shell reads them")
    on: Literal["host", "machine"] = key("host", "Where it runs")
    exit_code: int = key(0, "Exit code that means success", high=255)

    @property
    def on_machine(self) -> bool:
        return self.on == "machine"

    @property
    def script(self) -> str:
        return host_program.script(self.argv) if self.on == "host" else ""

    def faults(self, around: Around) -> Faults:
        del around
        if not self.argv or not self.argv[0]:
            return [("argv", "names no program: write [program, argument, …]")]
        nul = next((at for at, one in enumerate(self.argv) if "\0" in one), None)
        return [] if nul is None else [("argv", f"its word {nul + 1} has a NUL, which no program can be given")]

    def reach(self, value: str, budget_s: float) -> tuple[float, float]:
        if value == "exit_code":  # with any other one the beat has failed
            return self.exit_code, self.exit_code
        return 0.0, budget_s

    def play(self, scene: Scene) -> None:
        lines = 0

        def on_line(text: str) -> None:
            nonlocal lines
            lines += 1
            line = events.Line(at_ms=scene.at_ms(), text=text)
            if lines <= SHOWN:
                scene.emit(line)
                return
            if lines == SHOWN + 1:
                scene.emit(events.Remark(text=f"it prints more than {SHOWN} lines: the rest is only searched"))
            scene.unshown(line)

        scene.watch()
        began_ms = scene.at_ms()
        result = self._run(scene, on_line)
        code, took = result.code, (scene.at_ms() - began_ms) / 1000
        for name, title, value, unit in (("exit_code", "exit code", code, ""), ("command_s", "time", took, "s")):
            scene.emit(events.Value(at_ms=scene.at_ms(), name=name, title=title, value=value, unit=unit))
        if code != self.exit_code:
            raise DemoError(
                f"{self.argv[0]} ended with exit code {code}, not {self.exit_code}",
                fix="run it by hand: see what it prints",
                detail=result.tail(),
            )

    def _run(self, scene: Scene, on_line: Callable[[str], None]) -> proc.Result:
        if self.on == "host":
            return host_program.run(self.argv, scene.folder, deadline=scene.deadline, on_line=on_line)
        with lifecycle.reach(scene.lab, scene.cast.machine) as link:
            return link.run(self.argv, scene.deadline, on_line=on_line)
