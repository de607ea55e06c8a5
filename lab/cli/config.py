"""`lab config`, `lab paths`: what is in force and where things are."""

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
        origin: Annotated[bool, typer.Option("--origin", help="Also where each value comes from.")] = False,
        sample: Annotated[bool, typer.Option("--sample", help="A commented lab.yaml with every key.")] = False,
        schema: Annotated[bool, typer.Option("--schema", help="JSON Schema of lab.yaml, for editors.")] = False,
    ) -> int:
        """The config in force."""
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
        """Where lab keeps things."""
        from lab.model.paths import Paths
        from lab.system import resources

        there = Paths(home=sessions.home(options))
        doc = {
            "home": str(there.home),
            "cache": str(there.cache),
            "images": str(there.images),
            "artifacts": str(there.artifacts),
            "machines": str(there.machines),
            "runs": str(there.runs),
            "logs": str(there.logs),
            "resources": str(resources.root()),
        }
        sessions.answer(options, doc, "\n".join(f"{key}: {value}" for key, value in doc.items()))
        return 0
