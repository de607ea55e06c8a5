"""Show events on a rich terminal, as plain text or as JSON lines. Imports only model."""

from __future__ import annotations

import os
import sys
from typing import Literal, Protocol, Self

from lab.model.events import Record

View = Literal["rich", "plain", "json", "quiet"]


class Renderer(Protocol):
    """A sink that is a context manager: entered before the first event, left after the last."""

    def __call__(self, record: Record) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *args: object) -> None: ...


def choose(*, json: bool, plain: bool, quiet: bool) -> View:
    """The view by the flags, else by the kind of stderr. CI logs and pipes get plain lines."""
    if json:
        return "json"
    if quiet:
        return "quiet"
    dumb = os.environ.get("TERM", "") in ("dumb", "") and os.name != "nt"
    if plain or dumb or os.environ.get("CI") or not sys.stderr.isatty():
        return "plain"
    return "rich"


def screen(view: View, *, verbose: bool) -> Renderer:
    """The sink of a view."""
    if view == "json":
        from lab.render.jsonl import JsonLines

        return JsonLines()
    if view == "rich":
        from lab.render.terminal import Terminal

        return Terminal(verbose=verbose)
    from lab.render.plain import Plain

    return Plain(verbose=verbose, quiet=view == "quiet")
