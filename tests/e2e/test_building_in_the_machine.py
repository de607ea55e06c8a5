"""A stranger's service compiled in the machine by the machine's own Go, cut off once, then proven there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import REAL_CLOCK, ROOT, run_lab, test_home

FOREIGN = ROOT / "tests/contract/foreign"
UNIT = ("exec", "builder", "--", "systemctl", "is-active", "lab-build.service")
DEPLOY = ("deploy", "builder", "--service", str(FOREIGN), "--form", "baseline", "--build", "guest", "--yes", "--json")
pytestmark = [pytest.mark.nightly, pytest.mark.timeout(3600)]


@pytest.fixture
def home() -> Iterator[Path]:
    """A home without anything built; the image alone is shared."""
    with tempfile.TemporaryDirectory(prefix="lab-build-") as folder:
        cache = Path(folder) / "cache"
        cache.mkdir()
        (test_home() / "cache/images").mkdir(parents=True, exist_ok=True)
        (cache / "images").symlink_to(test_home() / "cache/images")
        yield Path(folder)
        run_lab("down", "--all", home=Path(folder), limit_s=120)


def building(home: Path) -> bool:
    return run_lab(*UNIT, home=home, limit_s=120).stdout.strip() in {"active", "activating"}


def test_a_service_compiled_in_the_machine(home: Path) -> None:
    up = run_lab("up", "builder", home=home, limit_s=900)
    assert up.code == 0, up.stderr
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LAB_")}
    env = {**clean, **REAL_CLOCK, "LAB_HOME": str(home), "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-m", "lab", *DEPLOY]
    with subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as cut:
        ends = time.monotonic() + 900
        while not building(home) and time.monotonic() < ends:
            assert cut.poll() is None, "it ended before it built anything"
            time.sleep(3)
        assert building(home)
        cut.send_signal(signal.SIGKILL)

    ran = run_lab(*DEPLOY, home=home, limit_s=2400)

    assert ran.code == 0, ran.stderr[-4000:]
    assert not building(home)
    built = [
        json.loads(path.read_text(encoding="utf-8")) for path in (home / "cache/artifacts").glob("*/manifest.json")
    ]
    places = {one["name"]: one["facts"].get("built", "here") for one in built}
    assert {places[name] for name in ("baseline", "sink", "load")} == {"in the machine"}, places
    proofs = json.loads(ran.stdout.splitlines()[-1])["result"]["proofs"]
    assert proofs["baseline"]["ok"], proofs
