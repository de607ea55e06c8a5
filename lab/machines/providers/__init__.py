"""The table of providers; a new one is a new file and a new row."""

from __future__ import annotations

from typing import Final

from lab.machines.providers import aws, lima, local, qemu, ssh, vagrant
from lab.machines.providers.base import Provider

PROVIDERS: Final[dict[str, Provider]] = {
    "qemu": qemu,
    "local": local,
    "ssh": ssh,
    "vagrant": vagrant,
    "lima": lima,
    "aws": aws,
}
