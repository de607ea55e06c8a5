"""A `lab` command under way, to be broken in the middle."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import REAL_CLOCK, ROOT

QUICK = Path(__file__).with_name("quick.yaml")
DEMO_S = 240.0  # a quick demo on a busy host, reruns of noisy cells included


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The process and where its streams go."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    def said(self) -> str:
        """Both streams so far, for a failure's message."""
        return f"--- stdout\n{self.out.read_text()[-5000:]}\n--- stderr\n{self.err.read_text()[-5000:]}"

    def result(self) -> dict[str, Any]:
        """The last line of a --json command that ended."""
        last = json.loads(self.out.read_text().strip().splitlines()[-1])
        assert isinstance(last.get("result"), dict), self.said()
        return dict(last["result"])

    def wait(self, limit_s: float = DEMO_S) -> int:
        """Its exit code; killed, and the test failed, past `limit_s`."""
        try:
            return self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not end within {limit_s:g} s\n{self.said()}") from None

    def until(self, condition: Callable[[], Any], what: str, limit_s: float = DEMO_S) -> Any:
        """What `condition` gives once it is true; a command that ends before fails the test."""
        ends = time.monotonic() + limit_s
        while True:
            if value := condition():
                return value
            assert self.process.poll() is None, f"ended with {self.process.returncode} before {what}\n{self.said()}"
            assert time.monotonic() < ends, f"not within {limit_s:g} s: {what}\n{self.said()}"
            time.sleep(0.05)

    def hears(self, text: str) -> bool:
        return text in self.out.read_text() or text in self.err.read_text()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)


@contextlib.contextmanager
def running(*argv: str, home: Path) -> Iterator[Running]:
    """Start this checkout's `lab`; whatever happens, it is dead afterwards."""
    (home / "said").mkdir(exist_ok=True)
    number = len(list((home / "said").iterdir()))
    out, err = home / "said" / f"{number}.out", home / "said" / f"{number}.err"
    clean = {k: v for k, v in os.environ.items() if not k.startswith("LAB_")}
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "lab", *argv],
            env={**clean, **REAL_CLOCK, "LAB_HOME": str(home), "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    try:
        yield Running(process=process, out=out, err=err)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def demo_argv(name: str, forms: str, *more: str) -> list[str]:
    """A quick demo, told in JSON."""
    return ["demo", str(QUICK), "--name", name, "--form", forms, "--profile", "stage", "--json", *more]


def working_in(home: Path) -> list[tuple[int, str]]:
    """Processes that work somewhere below `home`, so that they are this test's: pid and the program's name."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink().is_relative_to(home):
                found.append((int(entry.name), (entry / "exe").readlink().name))
    return found


@contextlib.contextmanager
def mounted(place: Path, *options: str) -> Iterator[None]:
    """A tmpfs at `place`."""
    place.mkdir(parents=True, exist_ok=True)
    argv = ["mount", "-t", "tmpfs", *(f"-o{option}" for option in options), "tmpfs", str(place)]
    subprocess.run(argv, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True, capture_output=True)
