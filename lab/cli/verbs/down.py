"""`lab down`: stop and remove."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lab.cli import flags
from lab.cli.options import Options, verb
from lab.cli.session import result_line, session


def register(app: typer.Typer) -> None:
    """Add `down`."""

    @verb(app, "down", takes=[flags.LOCK])
    def down(
        options: Options,
        wanted: dict[str, Any],
        name: flags.Name = None,
        everything: Annotated[bool, typer.Option("--all", help="Remove every machine.")] = False,
        purge: Annotated[bool, typer.Option("--purge", help="Also remove the cache of images and artifacts.")] = False,
    ) -> int:
        """Stop and remove a machine. Removes its processes, ports and files; keeps results and the cache.

        Without a name: every default machine (`lab`, `lab-local`, …), but no machine that you named.
        """
        with session(options, "down", {"machine.name": name, **wanted}) as lab:
            from lab.flows.cache import purge as purge_cache
            from lab.machines import lifecycle, naming, removal

            given = lab.config.machine.name
            names = lifecycle.names(lab) if everything else [given] if given else naming.defaults(lab)
            gone = removal.down_each(lab, names)
            if purge:
                purge_cache(lab)
        nothing = f"nothing to remove: there is no machine {given}" if given else "nothing to remove"
        text = f"removed: {', '.join(gone)}" if gone else nothing
        result_line(options, {"command": "down", "exit": 0, "removed": gone}, text)
        return 0
