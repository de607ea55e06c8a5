"""`build`: a compile-time form, built live from warm caches, and what its weaver added to the source."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from lab.flows.request import DemoRequest
from lab.forms import weaving
from lab.machines import lifecycle
from lab.model.key import key
from lab.model.lab import Lab
from lab.model.machine import HOST_ARCH
from lab.stage.beat.scene import Scene
from lab.stage.kinds.kind import Around, Faults, Kind, of_show
from lab.stage.kinds.orders import value
from lab.stage.stream import events
from lab.system.wait import Deadline

FILES: Final = 3  # files whose diff is shown
LINES: Final = 40  # of each: what a screen takes


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildBeat(Kind):
    """Build a compile-time form in front of the audience, from warm caches, and show what was woven into the source."""

    NEEDED = ("form",)
    GIVES = ("text", "value", "inside")
    VALUES = ("build_s", "files_woven", "lines_added")

    form: str = key("", "Form that is built: one of mechanism compile-time")

    @property
    def named_forms(self) -> tuple[str, ...]:
        return (self.form,) if self.form else ()

    def faults(self, around: Around) -> Faults:
        form = around.forms.get(self.form)
        if form is None or form.mechanism == "compile-time":
            return []
        woven = [name for name, one in around.forms.items() if one.mechanism == "compile-time"]
        return [("form", f"nothing is woven into {self.form!r}: name a form of mechanism compile-time{of_show(woven)}")]

    def reach(self, value: str, budget_s: float) -> tuple[float, float]:
        return 0.0, budget_s if value == "build_s" else math.inf

    def play(self, scene: Scene) -> None:
        def on_line(text: str) -> None:
            if text.startswith("WORK="):  # the compiler's temporary folder
                return
            scene.emit(events.Line(at_ms=scene.at_ms(), text=text))

        scene.watch()
        woven = self.weave(scene.lab, scene.asked, scene.cast.machine, scene.deadline, on_line)
        lines = sum(one.added for one in woven.files)
        for at, one in enumerate(woven.files):
            whole = events.Woven(
                at_ms=scene.at_ms(),
                form=self.form,
                file=one.name,
                diff=one.diff,
                added=one.added,
                files=len(woven.files),
                lines=lines,
            )
            if at < FILES:
                scene.emit(replace(whole, diff="\n".join(one.diff.splitlines()[:LINES])))
            scene.unshown(whole)
        value(scene, "build_s", "time to build", woven.seconds, "s", form=self.form)
        value(scene, "files_woven", "files woven", len(woven.files), "files", form=self.form)
        value(scene, "lines_added", "lines added", lines, "lines", form=self.form)

    def weave(
        self,
        lab: Lab,
        asked: DemoRequest,
        machine: str,
        deadline: Deadline,
        on_line: Callable[[str], None] = lambda _: None,
    ) -> weaving.WovenSource:
        """Build it for that machine. Raises as `weaving.weave`."""
        found = lifecycle.machine(lab, machine)
        arch = found.spec.arch if found is not None else HOST_ARCH
        form = next(form for form in asked.forms if form.name == self.form)
        return weaving.weave(lab, form, asked.service, arch=arch, on_line=on_line, deadline=deadline)
