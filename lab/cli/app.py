"""The table of verbs. Only the module of the given verb is imported."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Final

import typer

from lab.cli.options import Group

# verb -> module of lab.cli; related verbs may share a module
VERBS: Final[dict[str, str]] = {
    "demo": "verbs.demo",
    "doctor": "verbs.doctor",
    "up": "verbs.up",
    "down": "verbs.down",
    "snapshot": "verbs.snapshot",
    "restore": "verbs.snapshot",
    "status": "verbs.status",
    "deploy": "verbs.deploy",
    "fetch": "verbs.fetch",
    "rehearse": "stage.rehearse",
    "show": "stage.show",
    "replay": "stage.replay",
    "export": "stage.export",
    "report": "verbs.report",
    "runs": "verbs.runs",
    "ssh": "verbs.ssh",
    "exec": "verbs.ssh",
    "ssh-config": "verbs.ssh",
    "inventory": "verbs.ssh",
    "logs": "verbs.logs",
    "forms": "verbs.catalog",
    "providers": "verbs.catalog",
    "config": "verbs.config",
    "paths": "verbs.config",
    "cache": "verbs.cache",
}


def build(arguments: Sequence[str]) -> typer.Typer:
    """The app for this command line: one verb's module, or all of them for help and mistakes."""
    app = typer.Typer(
        name="lab",
        cls=Group,
        help="One Go service, instrumented at compile time and by eBPF, on a real Linux: what it costs, what it shows.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_root)
    wanted = next((word for word in arguments if not word.startswith("-")), "")
    modules = [VERBS[wanted]] if wanted in VERBS else list(dict.fromkeys(VERBS.values()))
    for name in modules:
        importlib.import_module(f"lab.cli.{name}").register(app)
    return app


def _root() -> None:
    """lab: see `lab demo`."""
