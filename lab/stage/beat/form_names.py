"""What the names of this project's forms tell, where nothing else is at hand."""

from __future__ import annotations

from typing import Final

TWIN: Final = ("twin", "baseline")  # the first of them that took part is what the others are compared with
CONTROLS: Final = ("delay-cpu", "delay-wait")


def mechanism(name: str) -> str:
    """Of a form of this project, by its name: an earlier recording does not tell."""
    if name in (*TWIN, *CONTROLS):
        return "none"
    return "run-time" if name.startswith("ebpf") else "compile-time"
