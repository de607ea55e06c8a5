"""A service as data: how to build and start it, and the reference spans of instrumentation by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lab.guest.wire import ProcessSpec, SpanNode
from lab.model.form import Expected
from lab.model.problems import Places

SERVICE_FILE: Final = "service.yaml"

# both become arguments of `go build` on this host: neither may be an option or several words
PACKAGE: Final = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._/+~-]*")
VARIABLE: Final = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._/+~-]*\.[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """service.yaml and reference-spans.yaml of one folder; `root` is the Go module's folder."""

    root: Path
    name: str
    main: str  # Go package, "." = the root
    ports: tuple[str, ...]
    target: str
    ready_port: str
    ready_path: str  # "": a connection is enough
    ready_status: tuple[int, ...]  # empty: any 2xx
    build_header: str
    form_header: str
    delay_header: str
    build_id_var: str  # "" when the service has none
    topologies: dict[str, tuple[ProcessSpec, ...]]
    delays: dict[str, tuple[str, ...]]  # "cpu" | "wait" -> argv appended, with {ns}
    reference: dict[str, tuple[SpanNode, ...]]
    # form -> its expectation here; a form that is not in it has none for this service
    expected: dict[str, Expected] = field(default_factory=dict)
    places: Mapping[str, Places] = field(default_factory=dict, compare=False, repr=False)  # by the name of the file

    def sound(self, *keys: str) -> bool:
        """Whether these keys of service.yaml are valid."""
        return self.places[SERVICE_FILE].sound(*keys)
