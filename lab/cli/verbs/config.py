"""`lab config`, `lab paths`: the effective config, and lab's folders."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli import session as sessions
from lab.cli.options import Options, verb


def register(app: typer.Typer) -> None:
    """Add both verbs."""

    @verb(app, "config")
    def config(
        options: Options,
        origin: Annotated[bool, typer.Option("--origin", help="Also show where each value comes from.")] = False,
        sample: Annotated[bool, typer.Option("--sample", help="Print a lab.yaml with every key.")] = False,
        schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of lab.yaml.")] = False,
    ) -> int:
        """Show the effective config."""
        from lab.model import describe

        if sample or schema:
            doc = describe.json_schema()
            import json

            sessions.answer(options, doc, describe.sample() if sample else json.dumps(doc, indent=1))
            return 0
        loaded = sessions.load_config(options, {})
        values = describe.values(loaded.config)
        rows = [f"{key}: {describe.shown(value)}" for key, value in values.items()]
        if origin:
            rows = [f"{key}: {describe.shown(value)}  ({loaded.origin[key]})" for key, value in values.items()]
        doc = {key: {"value": value, "origin": loaded.origin[key]} for key, value in values.items()}
        sessions.answer(options, doc, "\n".join(rows))
        return 0

    @verb(app, "paths")
    def paths(options: Options) -> int:
        """Show the folders that lab uses."""
        from lab.model.paths import Paths
        from lab.system import resources

        folders = Paths(home=sessions.home(options))
        doc = {
            "home": str(folders.home),
            "cache": str(folders.cache),
            "images": str(folders.images),
            "artifacts": str(folders.artifacts),
            "machines": str(folders.machines),
            "runs": str(folders.runs),
            "logs": str(folders.logs),
            "resources": str(resources.root()),
        }
        sessions.answer(options, doc, "\n".join(f"{key}: {value}" for key, value in doc.items()))
        return 0
