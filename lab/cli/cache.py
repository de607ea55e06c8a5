"""`lab cache`: what the cache holds, and making room."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli.options import Options, verb
from lab.cli.session import answer, session


def register(app: typer.Typer) -> None:
    """Add `cache`."""

    @verb(app, "cache")
    def cache(
        options: Options, action: Annotated[str, typer.Argument(metavar="ls|prune", help="List, or make room.")] = "ls"
    ) -> int:
        """List the cache with sizes, or remove what nothing uses."""
        with session(options, "cache") as lab:
            from lab.flows import cache as flow
            from lab.model.errors import UsageError

            if action not in ("ls", "prune"):
                raise UsageError(f"cache {action}: write ls or prune", fix="lab cache ls")
            rows = flow.listing(lab)
            freed = flow.prune(lab) if action == "prune" else 0
        lines = [f"{row['bytes'] / 1048576:10.1f} MiB  {row['path']}" for row in rows]
        if action == "prune":
            lines = [f"freed {freed / 1048576:.1f} MiB"]
        answer(options, {"entries": rows, "freed_bytes": freed}, "\n".join(lines) or "the cache is empty")
        return 0
