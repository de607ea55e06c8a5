"""`shell`: the terminal is the speaker's until the shell is left; then the show goes on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar, Literal

from lab.machines import lifecycle
from lab.model.key import key
from lab.stage.beat.scene import Scene
from lab.stage.kinds.kind import Kind


def shell_argv() -> list[str]:
    """The speaker's own shell on this host."""
    return [os.environ.get("COMSPEC", "cmd.exe")] if os.name == "nt" else [os.environ.get("SHELL", "/bin/sh")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellBeat(Kind):
    """Hand the terminal to a shell until it is left, whatever the budget. A rehearsal that runs alone opens none."""

    HANDS_OVER: ClassVar[bool] = True

    on: Literal["host", "machine"] = key("host", "Where the shell is")

    @property
    def on_machine(self) -> bool:
        return self.on == "machine"

    def play(self, scene: Scene) -> None:
        argv = shell_argv() if self.on == "host" else lifecycle.ssh_argv(scene.lab, scene.cast.machine)
        scene.shell(argv)
