"""Orders to the forms on standby in a machine: the Cast of `lab.model.live`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lab.flows import patience, standby
from lab.guest.wire.live import LiveEvent, Order
from lab.machines import lifecycle
from lab.model.errors import PreconditionError, UsageError
from lab.model.lab import Lab
from lab.model.loading.yamlspec import nearest
from lab.model.machine import Clock
from lab.model.scenario import RATE_MAX_RPS, REQUESTS_MAX
from lab.runs import orders


@contextmanager
def opened(lab: Lab, machine: str) -> Iterator[LiveCast]:
    """The forms on standby in this machine, as `standby.start` or `snapshot.restore` left them; several may open it.

    Raises PreconditionError where there are none, DemoError when their process exited.
    """
    found, record = lifecycle.machine(lab, machine), standby.kept(lab, machine)
    if found is None or found.handle is None:
        raise PreconditionError(f"there is no machine {machine}", fix=f"lab up {machine}")
    with orders.OrderSession(lab, lambda: lifecycle.connected(lab, found), record.site, record.pid) as session:
        yield LiveCast(record, session)


class LiveCast:
    """`lab.model.live.Cast` over one line to the standby process."""

    def __init__(self, record: standby.Standby, session: orders.OrderSession) -> None:
        self._record, self._session = record, session

    @property
    def forms(self) -> tuple[str, ...]:
        return self._record.forms

    @property
    def requests(self) -> tuple[str, ...]:
        return self._record.requests

    @property
    def clock(self) -> Clock:
        return self._record.clock

    def request(
        self,
        request: str,
        forms: Sequence[str] = (),
        *,
        index: int = 0,
        at_once: bool = False,
        limit_s: float = 0.0,
    ) -> Iterator[LiveEvent]:
        return self._give(
            kind="request", forms=self._known(forms), request=self._type(request), index=index, at_once=at_once,
            limit_s=limit_s,
        )  # fmt: skip

    def load(
        self,
        forms: Sequence[str] = (),
        *,
        rate_rps: float,
        seconds: float | None = None,
        requests: int | None = None,
        seed: int | None = None,
    ) -> Iterator[LiveEvent]:
        if (seconds is None) == (requests is None):
            raise UsageError("a load takes either seconds or requests", fix="give one of them")
        count = requests if requests is not None else math.ceil(rate_rps * (seconds or 0.0))
        if not 0 < rate_rps <= RATE_MAX_RPS or not 0 < count <= REQUESTS_MAX:
            message = f"{count:,} requests at {rate_rps:g}/s; at most {REQUESTS_MAX:,} are sent, at {RATE_MAX_RPS:,}/s"
            raise UsageError(message, fix="give a rate and a number above 0 and within these")
        seed = self._record.seed if seed is None else seed
        return self._give(kind="load", forms=self._known(forms), rate_rps=float(rate_rps), requests=count, seed=seed)

    def attach(
        self, form: str, *, agent_of: str = "", request: str = "", index: int = 0, limit_s: float = 0.0
    ) -> Iterator[LiveEvent]:
        self._known([agent_of] if agent_of else [])
        request = self._type(request) if request else ""
        return self._give(
            kind="attach", forms=self._known([form]), agent_of=agent_of, request=request, index=index, limit_s=limit_s
        )

    def detach(self, form: str) -> Iterator[LiveEvent]:
        return self._give(kind="detach", forms=self._known([form]))

    def reprove(self, forms: Sequence[str] = (), *, reattach: bool = False) -> Iterator[LiveEvent]:
        return self._give(kind="reprove", forms=self._known(forms), reattach=reattach)

    def stop(self) -> None:
        self._session.stop()

    def _give(self, **fields: Any) -> Iterator[LiveEvent]:
        slower = patience.slower(self._record.clock)
        return self._session.give(Order(id=orders.new_id(), **fields), slower=slower)

    def _known(self, forms: Sequence[str]) -> tuple[str, ...]:
        for name in forms:
            if name not in self.forms:
                known = ", ".join(self.forms)
                message = f"the form {name!r} is not on standby{nearest(name, self.forms)} (known: {known})"
                raise UsageError(message, fix="name one of those, or lab snapshot --form …")
        return tuple(forms)

    def _type(self, request: str) -> str:
        if request not in self.requests:
            known = ", ".join(self.requests)
            message = f"no request type {request!r}{nearest(request, self.requests)} (known: {known})"
            raise UsageError(message, fix="name one of those")
        return request
