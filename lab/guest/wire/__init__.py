"""The data exchanged between host and guest, defined once: plan, cell, event, span, request.

Frozen dataclasses encoded as plain JSON objects by `encode` and read back, checked, by `decode` and `load`. Unknown
keys are ignored (a newer writer), missing ones take the default or raise `WireError`; `checked.py` has the limits.
Times: *_ns are Unix-epoch nanoseconds of the guest's clock; *_s are seconds. Python 3.9 syntax: this folder runs in
the guest.
"""

from lab.guest.wire.checked import LIMITS, Count, Limits, Range, WireError, shown
from lab.guest.wire.codec import canonical, decode, dump, encode, load, parse
from lab.guest.wire.plan import (
    COUNTED,
    DEEPEST,
    MOST_NODES,
    SCHEMA,
    AgentSpec,
    CellPlan,
    Expectation,
    ExtraSpan,
    FormExpectation,
    FormSpec,
    Gates,
    Layout,
    Life,
    Plan,
    ProcessSpec,
    RequestSpec,
    Saturation,
    ServiceSpec,
    SpanNode,
    Timeouts,
    Tools,
    reference_faults,
)
from lab.guest.wire.result import (
    Canary,
    CanaryRequest,
    Cell,
    FileEntry,
    Gate,
    GuestManifest,
    GuestRecord,
    GuestState,
    LifeEnd,
    Span,
    TypeStats,
    Usage,
)

# names inside the guest's folder of a run; lab.model.paths repeats them for the host and a test holds them equal
EVENTS_FILE = "events.jsonl"
PLAN_FILE = "plan.json"
FACTS_FILE = "facts.json"
STATE_FILE = "state.json"
MANIFEST_FILE = "manifest.json"
CELLS_DIR = "cells"
CELL_FILE = "cell.json"
CANARY_FILE = "canary.json"
REQUESTS_FILE = "requests.csv.gz"
SPANS_FILE = "spans.jsonl.gz"

__all__ = [
    "CANARY_FILE",
    "CELLS_DIR",
    "CELL_FILE",
    "COUNTED",
    "DEEPEST",
    "EVENTS_FILE",
    "FACTS_FILE",
    "LIMITS",
    "MANIFEST_FILE",
    "MOST_NODES",
    "PLAN_FILE",
    "REQUESTS_FILE",
    "SCHEMA",
    "SPANS_FILE",
    "STATE_FILE",
    "AgentSpec",
    "Canary",
    "CanaryRequest",
    "Cell",
    "CellPlan",
    "Count",
    "Expectation",
    "ExtraSpan",
    "FileEntry",
    "FormExpectation",
    "FormSpec",
    "Gate",
    "Gates",
    "GuestManifest",
    "GuestRecord",
    "GuestState",
    "Layout",
    "Life",
    "LifeEnd",
    "Limits",
    "Plan",
    "ProcessSpec",
    "Range",
    "RequestSpec",
    "Saturation",
    "ServiceSpec",
    "Span",
    "SpanNode",
    "Timeouts",
    "Tools",
    "TypeStats",
    "Usage",
    "WireError",
    "canonical",
    "decode",
    "dump",
    "encode",
    "load",
    "parse",
    "reference_faults",
    "shown",
]
