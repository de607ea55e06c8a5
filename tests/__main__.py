"""All tiers but nightly and wine in two lanes of about the same length: those that boot machines, and the others.

No lane needs what the other makes; caches that both use have locks. One shows when it ends, the other as it goes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from typing import Final

# Builds are nice, and an emulated machine has one busy core: two lanes fill two cores.
BESIDE: Final = ("unit", "contract", "faults")
MAIN: Final = ("forms", "vm")


def pytest_for(tiers: tuple[str, ...], *options: str) -> list[str]:
    """A run of these tiers."""
    return [sys.executable, "-m", "pytest", *options, "--tier", ",".join(tiers)]


def main() -> int:
    """The exit code of the lane that failed; 0 when both passed."""
    if (os.cpu_count() or 1) < 2:
        os.execv(sys.executable, pytest_for(BESIDE + MAIN))
    with tempfile.TemporaryFile() as said:
        beside = subprocess.Popen(pytest_for(BESIDE, "-p", "no:cacheprovider"), stdout=said, stderr=subprocess.STDOUT)
        lanes = (subprocess.Popen(pytest_for(MAIN)), beside)

        def stop(*_: object) -> None:
            for lane in lanes:
                lane.terminate()

        def show() -> None:
            beside.wait()
            said.seek(0)
            sys.stdout.buffer.write(said.read())
            sys.stdout.flush()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the lanes have it from the terminal too, and clean up
        showing = threading.Thread(target=show)
        showing.start()
        codes = [lane.wait() for lane in lanes]
        showing.join()
    return next(filter(None, codes), 0)


if __name__ == "__main__":
    sys.exit(main())
