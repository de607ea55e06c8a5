"""The table of providers; a new one is a new file and a new row."""

from __future__ import annotations

from typing import Final

from lab.machines.providers.aws import provider as aws
from lab.machines.providers.base import Provider
from lab.machines.providers.lima import provider as lima
from lab.machines.providers.local import provider as local
from lab.machines.providers.qemu import provider as qemu
from lab.machines.providers.ssh import provider as ssh
from lab.machines.providers.vagrant import provider as vagrant

PROVIDERS: Final[dict[str, Provider]] = {
    "qemu": qemu,
    "local": local,
    "ssh": ssh,
    "vagrant": vagrant,
    "lima": lima,
    "aws": aws,
}
