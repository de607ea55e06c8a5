"""`Lab`: everything a function needs from its surroundings, passed as the first argument."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from lab.model.config import Config
from lab.model.events import Bus
from lab.model.paths import Paths


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """config: what is wanted. paths: where things are. bus: who hears of it. cancel: set once, at the first Ctrl-C."""

    config: Config
    paths: Paths
    bus: Bus
    cancel: threading.Event = field(default_factory=threading.Event)
