"""`lab cache`: list the cache, list what a demo needs from it, export an image, free space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli import flags
from lab.cli.options import Options, verb
from lab.cli.session import answer, session
from lab.model.config import Config

if TYPE_CHECKING:
    from lab.flows.request import DemoRequest

ACTIONS = "ls|keys|prune|export"
INPUTS = (  # what decides which image and which binaries a demo needs
    "demo.forms", "demo.scenario",
    "machine.provider", "machine.image", "machine.arch", "machine.source", "machine.digest",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add `cache`."""

    @verb(app, "cache", takes=[*INPUTS])
    def cache(
        options: Options,
        wanted: dict[str, Any],
        action: Annotated[
            str, typer.Argument(metavar=ACTIONS, help="List; list what a demo needs; free space; export an image.")
        ] = "ls",
        ident: Annotated[str, typer.Argument(metavar="ID", help="export: the image.")] = "",
        file: Annotated[str, typer.Argument(metavar="FILE", help="export: the file to write.")] = "",
        service: flags.Service = None,
        show: Annotated[str | None, typer.Option("--show", metavar="SHOW", help="keys: of a show's rehearsal.")] = None,
    ) -> int:
        """List the cache with sizes, or remove unused entries.

        `keys`: the cache entries that a demo of these forms needs, or the rehearsal of a show, each named by the digest
        of all its inputs; save and restore them in CI, and the next demo builds none of them.

        `export ID FILE`: write a golden image to a file and print its digest, for --source and --digest elsewhere.
        """

        def asked_for(config: Config) -> DemoRequest:
            from lab.flows import request

            if show is not None:
                from lab.stage.show import show_file

                return request.with_controls(show_file.load(show_file.find(show)).asked)  # it measures a run, too
            return request.read(config.demo, service_dir=service, forms_given=wanted["demo.forms"] is not None)

        with session(options, "cache", wanted) as lab:
            from lab.flows import cache as flow
            from lab.guest.wire import encode
            from lab.model.errors import UsageError
            from lab.model.figures import size

            if action not in ACTIONS.split("|"):
                raise UsageError(f"lab cache: unknown action {action!r} (use one of {ACTIONS})", fix="lab cache ls")
            if action == "export":
                if not file:
                    raise UsageError("cache export needs an image id and a file", fix="lab cache export ID FILE")
                target = Path(file).expanduser().absolute()
                digest = flow.export(lab, ident, target)
                doc: dict[str, Any] = {"file": str(target), "digest": digest}
                lines = [digest]
            elif action == "keys":
                needed = flow.keys(lab, asked_for(lab.config))
                doc = {"cache": str(lab.paths.cache), "digest": flow.digest(needed), "keys": encode(needed)}
                lines = [row.path for row in needed]
            elif action == "prune":
                rows = flow.listing(lab)
                doc = {"entries": encode(rows), "freed_bytes": (freed := flow.prune(lab))}
                lines = [f"freed {size(freed)}"]
            else:
                doc = {"entries": encode(rows := flow.listing(lab)), "freed_bytes": 0}
                lines = [f"{size(row.bytes):>9}  {row.path}" for row in rows]
        answer(options, doc, "\n".join(lines) or "the cache is empty")
        return 0
