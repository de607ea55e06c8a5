"""The command that rehearses a show, as a message advises it: this show, on this machine, for this slot."""

from __future__ import annotations

import shlex

from lab.stage.show import show_file
from lab.stage.show.show import Show


def rehearse(show: Show, machine: str = "", minutes: float | None = None) -> str:
    """To be typed as it is, in the folder where the show was given. "" and None: what the command takes by itself."""
    words = ["lab", "rehearse"]
    if show.path.parent != show_file.shows_dir():
        words.append(str(show.path))
    elif show.path.stem != show_file.DEFAULT:
        words.append(show.path.stem)
    words += ["--name", machine] if machine else []
    words += ["--minutes", f"{minutes:g}"] if minutes is not None else []
    return shlex.join(words)
