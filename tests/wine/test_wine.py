"""What a Windows Python does with the host half, under Wine: an opt-in tier (`labw test --tier wine`), and no Windows.

Wine has no ACLs, no WHPX, no console and no long paths; what it shows is Python and SSH on a host whose files cannot
be replaced while they are open, whose pipes speak cp1252 and whose locks are another kind.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from lab.guest.wire import FileEntry, GuestManifest, dump
from lab.model.paths import MANIFEST_FILE
from tests.contract.sshd import running_sshd
from tests.support import ROOT, test_home

pytestmark = [pytest.mark.wine, pytest.mark.timeout(1500)]
LIMIT_S: Final = 600
# Tests of the host half that need neither POSIX nor a tool of Linux; CI's Macs and Windows run the same.
FILES: Final = tuple(
    line for line in (ROOT / ".ci/host-tests").read_text(encoding="utf-8").splitlines() if not line.startswith("#")
)


@pytest.fixture(scope="session")
def windows() -> Path:
    """The program that runs a Windows Python; made once."""
    place = test_home() / "wine"
    made = subprocess.run(
        [str(ROOT / "tests/wine/setup.sh"), str(place)], capture_output=True, text=True, check=False, timeout=LIMIT_S
    )
    assert made.returncode == 0, made.stderr[-2000:]
    assert re.fullmatch(r"3\.13\.\d+ win32 \(10, 0, \d+\)", made.stdout.strip()), made.stdout
    return place / "python"


def drive(path: Path) -> str:
    """A path of this system as Wine shows it."""
    return "Z:" + str(path).replace("/", "\\")


def started(windows: Path, *argv: str, env: str = "") -> subprocess.Popen[bytes]:
    """Pipes for all three: under Wine 8 this Python can use no plain file for one."""
    environ = {"PATH": "/usr/bin:/bin", "WINE_ENV": f"PYTHONPATH={drive(ROOT)} {env}".strip()}
    pipe = subprocess.PIPE
    return subprocess.Popen([str(windows), *argv], stdin=pipe, stdout=pipe, stderr=pipe, env=environ, cwd=ROOT)


def ran(windows: Path, *argv: str, env: str = "") -> tuple[int, str, str]:
    child = started(windows, *argv, env=env)
    out, err = child.communicate(b"", timeout=LIMIT_S)
    return child.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


def test_the_host_halfs_own_tests(windows: Path) -> None:
    options = ("-p", "no:cacheprovider", "--capture=sys", "--timeout-method=thread", "--tier", "unit", "-q")
    _, out, err = ran(windows, "-m", "pytest", *options, *FILES)
    closing = re.findall(r"^(\d+) passed(?:, \d+ (?:skipped|deselected))* in ", out, re.MULTILINE)
    assert closing, (out + err)[-3000:]  # Wine's own exit code says nothing when it crashed
    assert int(closing[-1]) >= 220


def test_the_command_line(windows: Path, tmp_path: Path) -> None:
    home = tmp_path / "Ann's häuser"
    home.mkdir()
    for words in (("--help",), ("config",), ("paths",), ("status", "--json"), ("runs", "--json"), ("providers",)):
        code, out, err = ran(windows, "-m", "lab", *words, *(() if words == ("--help",) else ("--home", drive(home))))
        assert code == 0, (words, err[-2000:])
        assert out.strip(), words
    code, _, err = ran(windows, "-m", "lab", "up", "--provider", "local", "--home", drive(home))
    assert (code, "needs Linux" in err) == (4, True), err
    code, out, err = ran(windows, "-m", "lab", "forms", env="PYTHONIOENCODING=cp1252 PYTHONUTF8=0")
    assert code == 0, err
    assert "UnicodeEncodeError" not in err


def test_what_ssh_is_used_for(windows: Path, tmp_path: Path) -> None:
    there, here = tmp_path / "machine", tmp_path / "host"
    (there / "run/cells").mkdir(parents=True)
    here.mkdir()
    (there / "run/cells/a.txt").write_text("whole")
    digest = hashlib.sha256(b"whole").hexdigest()
    manifest = GuestManifest(
        run_id="r", plan_digest="", boot_id="", cells=(), outcome="complete",
        files=(FileEntry(path="cells/a.txt", size=5, sha256=digest),),
    )  # fmt: skip
    (there / "run" / MANIFEST_FILE).write_text(dump(manifest))
    with running_sshd(tmp_path / "sshd") as server, running_sshd(tmp_path / "other") as other:
        at = server.endpoint
        argv = (drive(ROOT / "tests/wine/ssh_calls.py"), str(at.port), drive(at.identity_file or Path()), at.host_key)
        code, out, err = ran(windows, *argv, other.endpoint.host_key, str(there), drive(here))
    assert code == 0, err[-3000:]
    assert out.splitlines() == [
        'run 7 a  b|c"d|é✓|',
        "put True",
        "get True",
        "fetch ['cells/a.txt'] whole",
        "stranger 9",
        "lost 75",
    ]


HOLD: Final = """
import sys, time, pathlib
from lab.system import locks
from lab.system.wait import Deadline
with locks.hold(pathlib.Path(sys.argv[1]), what="machine x", deadline=Deadline.after(float(sys.argv[2]))):
    print("held", flush=True)
    time.sleep(float(sys.argv[3]))
"""
REPLACE: Final = """
import sys, pathlib
from lab.system import store
path = pathlib.Path(sys.argv[1])
for number in range(200):
    store.write_json(path, {"number": number})
print(path.read_text())
"""


READ: Final = """
import sys, pathlib, time
path = pathlib.Path(sys.argv[1])
print("reads", flush=True)
while not path.with_name("stop").exists():
    try:
        with path.open("rb") as file:
            file.read()
            time.sleep(0.002)
    except OSError:
        pass
    time.sleep(0.01)
"""


@contextmanager
def holding(windows: Path, lock: Path, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    child = started(windows, "-c", HOLD, drive(lock), "5", str(seconds))
    try:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == b"held", child.stderr and child.stderr.read().decode()[-2000:]
        yield child
    finally:
        child.kill()
        child.communicate()


def test_one_writer_at_a_time(windows: Path, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with holding(windows, lock, 40):
        code, _, err = ran(windows, "-c", HOLD, drive(lock), "1", "0")
        assert code != 0
        assert "machine x is in use by pid" in err
    limit = time.monotonic() + 60
    while ran(windows, "-c", HOLD, drive(lock), "5", "0")[1].strip() != "held":
        assert time.monotonic() < limit, "a lock that outlives its holder"


def test_state_is_replaced_whole(windows: Path, tmp_path: Path) -> None:
    code, out, err = ran(windows, "-c", REPLACE, drive(tmp_path / "state.json"))
    assert code == 0, err[-2000:]
    assert "199" in out
    assert [path.name for path in tmp_path.iterdir() if "json" not in path.name] == []


def test_state_is_replaced_while_others_read_it(windows: Path, tmp_path: Path) -> None:
    """Without patience 70 of 100 such writes failed."""
    path = tmp_path / "state.json"
    path.write_text("{}")
    readers = [started(windows, "-c", READ, drive(path)) for _ in range(2)]
    try:
        for reader in readers:
            assert reader.stdout is not None
            assert reader.stdout.readline().strip() == b"reads"
        code, out, err = ran(windows, "-c", REPLACE, drive(path))
    finally:
        (tmp_path / "stop").touch()
        for reader in readers:
            reader.communicate(timeout=60)
    assert code == 0, err[-2000:]
    assert "199" in out
