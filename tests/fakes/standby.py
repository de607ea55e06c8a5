"""A process that takes orders as the guest half's standby process does; the kind says what becomes of one.

reprove, request: eight proofs in 0.4 s; load: until stopped; attach: refused; detach: the process ends.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def standby_process(out: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run it on the folder of a site."""
    (Path(out) / "orders").mkdir(parents=True)
    argv = [sys.executable, __file__, "standby", out]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            yield child
        finally:
            child.kill()


class Process:
    """Its folder and journal."""

    def __init__(self, out: Path) -> None:
        self.orders, self.seq = out / "orders", 0
        self.events = (out / "events.jsonl").open("a", buffering=1, encoding="utf-8")

    def tell(self, kind: str, order: str, /, **data: Any) -> None:
        self.seq += 1
        doc = {"seq": self.seq, "at_ns": 1, "boot_id": "b", "kind": kind, "data": {"order": order, "at_ns": 1, **data}}
        self.events.write(json.dumps(doc) + "\n")

    def carry_out(self, order: dict[str, Any]) -> None:
        """One order, whole."""
        if order["kind"] == "attach":
            self.tell("refused", order["id"], reason="another runs", running="x" if order["at_once"] else "")
            return
        self.tell("accepted", order["id"], kind=order["kind"], forms=["a"], clock="real", limit_s=5.0)
        for number in range(1, 9):
            self.tell("proof", order["id"], form="a", ok=True, reason="", round=number)
            time.sleep(0.05)
        while order["kind"] == "load" and not (self.orders / f"{order['id']}.stop").exists():
            time.sleep(0.02)
        if order["kind"] == "detach":
            sys.exit()
        self.tell("order-ended", order["id"], outcome="done", reason="", seconds=0.1)

    def run(self) -> None:
        """Until it is ended."""
        self.tell("proof", "earlier", form="a", ok=True, reason="")
        signal.signal(signal.SIGUSR1, lambda *_: None)
        print("ready", flush=True)
        while True:
            for path in sorted(self.orders.glob("[!.]*.json")):
                order = json.loads(path.read_text(encoding="utf-8"))
                path.rename(path.with_suffix(".taken"))
                self.carry_out(order)
            time.sleep(0.02)


if __name__ == "__main__":
    Process(Path(sys.argv[2])).run()
