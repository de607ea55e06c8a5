"""`Lab`: the context of a command, passed as the first argument."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from lab.model.config import Config
from lab.model.events import Bus
from lab.model.paths import Paths


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """config: the merged config. paths: folders. bus: receives events. cancel: set once, by the first Ctrl-C."""

    config: Config
    paths: Paths
    bus: Bus
    cancel: threading.Event = field(default_factory=threading.Event)
