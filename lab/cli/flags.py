"""Flags that several verbs share, each one a config key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="Name of the machine (default: from the config).")]
Provider = Annotated[str | None, typer.Option("--provider", help="What makes the machine; see `lab providers`.")]
Image = Annotated[str | None, typer.Option("--image", help="Image recipe.")]
Cpus = Annotated[int | None, typer.Option("--cpus", min=1, max=64, help="Virtual CPUs.")]
Memory = Annotated[int | None, typer.Option("--memory", min=512, metavar="MIB", help="Memory, MiB.")]
Accel = Annotated[str | None, typer.Option("--accel", help="auto, kvm, hvf, whpx or tcg.")]
LockTimeout = Annotated[
    float | None, typer.Option("--lock-timeout", min=0, help="Seconds to wait for another command.")
]
Forms = Annotated[
    str | None, typer.Option("--form", metavar="A,B,…", help="Forms, separated by commas; see `lab forms`.")
]
Profile = Annotated[str | None, typer.Option("--profile", help="stage, quick, rehearsal or full.")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of order, arrivals and data.")]
Rate = Annotated[float | None, typer.Option("--rate", min=0.01, help="Requests per second, instead of the scenario's.")]
Topology = Annotated[str | None, typer.Option("--topology", help="all (one process) or split (one per service).")]
Build = Annotated[str | None, typer.Option("--build", help="Where forms are built: auto, host or guest.")]
Service = Annotated[Path | None, typer.Option("--service", help="Folder of your own Go service, with service.yaml.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Answer yes to every question.")]
Run = Annotated[str | None, typer.Argument(metavar="[RUN]", help="Run id or its beginning (default: the newest).")]


def names(text: str | None) -> tuple[str, ...] | None:
    """ "a,b" -> ("a", "b"); None stays None (not given)."""
    if text is None:
        return None
    return tuple(part.strip() for part in text.split(",") if part.strip())
