"""The forms on standby in a machine as a show uses them: what can be ordered, and the events that come back.

The events are those of `lab.guest.wire.live`. `lab.flows.live.opened` gives a Cast.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from lab.guest.wire.live import LiveEvent
from lab.model.machine import Clock


class Cast(Protocol):
    """Forms on standby, ready for orders; one order at a time.

    Every order gives its events as they come, up to OrderEnded, and begins with the call, not with the first `next`.
    A lost connection is opened again, and no event is lost or repeated. An iterator that is closed or dropped early
    leaves the order running to its own end: `stop` ends it. Errors: Locked (an order runs: its kind and id are named),
    DemoError (the standby process exited), ProvisioningError (the machine cannot be reached), UsageError (no such form
    or request type).
    """

    @property
    def forms(self) -> tuple[str, ...]:
        """Names of the forms that are up, in the order of the request."""

    @property
    def clock(self) -> Clock:
        """Of the machine: real or counted."""

    @property
    def requests(self) -> tuple[str, ...]:
        """Request types of the scenario."""

    def request(
        self,
        request: str,
        forms: Sequence[str] = (),
        *,
        index: int = 0,
        at_once: bool = False,
        limit_s: float = 0.0,
    ) -> Iterator[LiveEvent]:
        """The same request into each form: Answered, SpanSeen …, RequestEnded for each. limit_s: how long spans that
        must come are awaited; 0: as long as a proof would wait."""

    def load(
        self,
        forms: Sequence[str] = (),
        *,
        rate_rps: float,
        seconds: float | None = None,
        requests: int | None = None,
        seed: int | None = None,
    ) -> Iterator[LiveEvent]:
        """A duet: the same stream into each form at once. Per window one FormWindow for each form, then one
        MachineWindow; at the end LoadEnded for each. Give `seconds` or `requests` (for each form)."""

    def attach(
        self, form: str, *, agent_of: str = "", request: str = "", index: int = 0, limit_s: float = 0.0
    ) -> Iterator[LiveEvent]:
        """Attach a new agent to the running service, then send one request: Attached, Answered, SpanSeen …,
        AttachEnded. agent_of: the form whose agent it is ("ebpf" for the baseline). Where it fails or is stopped, no
        agent stays."""

    def detach(self, form: str) -> Iterator[LiveEvent]:
        """End the form's agent; an attached baseline is a baseline again."""

    def reprove(self, forms: Sequence[str] = (), *, reattach: bool = False) -> Iterator[LiveEvent]:
        """One request into each form, judged: Proof for each."""

    def stop(self) -> None:
        """End the order that runs now, from any client, within a second; nothing happens when none runs."""
