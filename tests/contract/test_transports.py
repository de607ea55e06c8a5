"""One suite for the Transport seam, run over a real sshd on loopback and on this host itself."""

from __future__ import annotations

import random
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lab.model.config import Config
from lab.model.errors import Cancelled, FetchError, TransientError
from lab.model.events import Bus
from lab.model.lab import Lab
from lab.model.machine import Endpoint, LocalEndpoint
from lab.model.paths import Paths
from lab.remote import connect
from lab.remote.base import Transport
from lab.remote.localhost import LocalTransport
from lab.system.pumps import TooMuchOutput
from lab.system.wait import Deadline
from tests.contract.sshd import Sshd, running_sshd

pytestmark = pytest.mark.contract
ODD = ("", " ", "a b", "'", '"', "$HOME", "`id`", "a\nb", "\\", "*", "~", "ü→漢", "-n", "--", ";", "a'b\"c", "!x", "\t")


def soon(seconds: float = 30) -> Deadline:
    return Deadline.after(seconds)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(config=Config(), paths=Paths(home=tmp_path / "home"), bus=Bus())


@pytest.fixture(params=["localhost", "ssh"])
def link(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Transport]:
    endpoint: Endpoint = LocalEndpoint()
    if request.param == "ssh":
        endpoint = request.getfixturevalue("server").endpoint
    with connect(lab, endpoint, soon()) as transport:
        yield transport


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def test_argv_arrives_as_it_was_given(link: Transport) -> None:
    result = link.run(["printf", "%s\\0", *ODD], soon())
    assert result.stdout.decode().split("\0")[:-1] == list(ODD)
    assert result.stderr == b""


@pytest.mark.parametrize("code", [0, 1, 2, 65, 126, 127, 130, 255])
def test_exit_codes(link: Transport, code: int) -> None:
    assert link.run(["sh", "-c", f"exit {code}"], soon()).code == code


def test_a_program_that_does_not_exist_is_127(link: Transport) -> None:
    result = link.run(["no-such-program-anywhere"], soon())
    assert result.code == 127
    assert b"not found" in result.stderr


def test_death_by_signal_is_minus_the_signal(link: Transport) -> None:
    assert link.run(["sh", "-c", "kill -9 $$"], soon()).code == -9
    assert link.run(["sh", "-c", "kill -15 $$"], soon()).code == -15


def test_ten_megabytes_out_on_both_streams(link: Transport) -> None:
    script = "head -c 10485760 /dev/zero; head -c 10485760 /dev/zero >&2"
    result = link.run(["sh", "-c", script], soon(60))
    assert (len(result.stdout), len(result.stderr)) == (10485760, 10485760)


def test_binary_stdin_comes_back_unchanged(link: Transport) -> None:
    data = noise(3_000_000)
    assert link.run(["cat"], soon(60), stdin=data).stdout == data


def test_a_program_may_leave_its_input_unread(link: Transport) -> None:
    assert link.run(["true"], soon(), stdin=noise(4_000_000)).code == 0


def test_lines_arrive_while_the_program_runs(link: Transport) -> None:
    seen: list[tuple[float, str]] = []
    link.run(
        ["sh", "-c", "echo one; sleep 0.7; echo zwölf; printf rest"],
        soon(),
        on_line=lambda t: seen.append((time.monotonic(), t)),
    )
    assert [text for _, text in seen] == ["one", "zwölf", "rest"]
    assert seen[1][0] - seen[0][0] > 0.4


def test_two_calls_at_once(link: Transport, tmp_path: Path) -> None:
    """Each call waits for the others: one after the other they would wait for ever."""
    wait = 'touch "$0/$1"; until [ "$(ls "$0" | wc -l)" = 4 ]; do sleep 0.05; done; exit 3'
    results: list[int] = []
    threads = [
        threading.Thread(
            target=lambda name=name: results.append(link.run(["sh", "-c", wait, str(tmp_path), name], soon()).code)
        )
        for name in "abcd"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [3] * 4


def test_the_deadline_ends_the_program_there(link: Transport, tmp_path: Path) -> None:
    marker = str(tmp_path / "marker")
    with pytest.raises(TransientError, match="time"):
        link.run(["sh", "-c", "sleep 60; echo $1", "x", marker], soon(1))
    gone = Deadline.after(8)
    while [p for p in psutil.process_iter(["cmdline"]) if marker in (p.info["cmdline"] or [])]:
        assert not gone.passed(), "the program outlived its deadline"
        gone.sleep(0.1)


def test_a_program_that_ignores_the_request_is_killed(link: Transport, tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="time"):
        link.run(["sh", "-c", "trap '' TERM; sleep 61; echo $1", "x", str(tmp_path)], soon(1))
    gone = Deadline.after(12)
    while [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in (p.info["cmdline"] or [])]:
        assert not gone.passed(), "the program outlived its deadline"
        gone.sleep(0.1)


def test_fetch_unbounded_output_of_a_command(link: Transport) -> None:
    began = time.monotonic()
    for script in ("cat /dev/zero", "cat /dev/zero >&2", "yes & yes >&2"):
        with pytest.raises(TooMuchOutput, match="printed more than 1000000 bytes"):
            link.run(["sh", "-c", script], soon(60), max_output=1_000_000)
    assert time.monotonic() - began < 20
    with pytest.raises(TooMuchOutput):
        link.run(["cat", "/dev/zero"], soon(60))


def test_fetch_unbounded_lines_are_handed_on_in_pieces(link: Transport) -> None:
    seen: list[int] = []
    link.run(["head", "-c", "3000000", "/dev/zero"], soon(60), on_line=lambda line: seen.append(len(line)))
    assert sum(seen) == 3_000_000
    assert max(seen) < 200_000


def test_fetch_unbounded_get_and_stream_stop_at_their_limits(link: Transport, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(noise(3_000_000))
    with pytest.raises(FetchError, match="larger than the limit of 1000000 bytes"):
        link.get(str(source), target, soon(), max_bytes=1_000_000)
    assert target.stat().st_size <= 1_000_000
    assert len(b"".join(link.stream(str(source), 5, soon(), max_bytes=1_000_000))) == 1_000_000
    assert link.run(["true"], soon()).ok, "the connection goes on"


def test_pipe_hands_bytes_on_as_they_come_and_waits_for_who_takes_them(link: Transport) -> None:
    out, err, taken = bytearray(), bytearray(), 0
    code = link.pipe(
        ["sh", "-c", "cat; echo done >&2; exit 9"],
        soon(60),
        stdin=(noise(n) for n in (100_000, 1, 2_000_000)),
        out=out.extend,
        err=err.extend,
        max_output=None,
    )
    assert code == 9
    assert bytes(out) == noise(100_000) + noise(1) + noise(2_000_000)
    assert bytes(err) == b"done\n"

    def slow(chunk: bytes) -> None:
        nonlocal taken
        time.sleep(0.02)
        taken += len(chunk)

    assert (
        link.pipe(["head", "-c", "3000000", "/dev/zero"], soon(60), stdin=(), out=slow, err=slow, max_output=None) == 0
    )
    assert taken == 3_000_000


def test_what_a_taker_raises_ends_the_program_there(link: Transport, tmp_path: Path) -> None:
    def full(_chunk: bytes) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        link.pipe(
            ["sh", "-c", "while echo; do sleep 0.1; done; echo $1", "x", str(tmp_path)],
            soon(30),
            stdin=(),
            out=full,
            err=full,
            max_output=None,
        )
    gone = Deadline.after(8)
    while [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in (p.info["cmdline"] or [])]:
        assert not gone.passed(), "the program goes on"
        gone.sleep(0.1)


def test_cancel_stops_at_once(link: Transport, lab: Lab) -> None:
    threading.Timer(0.5, lab.cancel.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        link.run(["sleep", "60"], soon())
    assert time.monotonic() - began < 8


def test_put_is_whole_and_has_its_mode(link: Transport, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "new dir" / "it's ü"
    source.write_bytes(noise(2_500_000))
    link.put(source, str(target), soon(60), mode=0o755)
    assert target.read_bytes() == source.read_bytes()
    # here others live too; a machine is this user's whole
    assert stat.S_IMODE(target.stat().st_mode) == (0o700 if isinstance(link, LocalTransport) else 0o755)
    link.put_bytes(b"second", str(target), soon(), mode=0o600)
    assert target.read_bytes() == b"second"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [p.name for p in target.parent.iterdir()] == [target.name], "no temporary file stays"


def test_put_of_nothing(link: Transport, tmp_path: Path) -> None:
    link.put_bytes(b"", str(tmp_path / "empty"), soon())
    assert (tmp_path / "empty").read_bytes() == b""


def test_get_resumes_by_offset(link: Transport, tmp_path: Path) -> None:
    source, target = tmp_path / "so urce", tmp_path / "target"
    data = noise(3_000_001)
    source.write_bytes(data)
    target.write_bytes(data[:1_234_567])
    seen: list[int] = []
    link.get(str(source), target, soon(60), max_bytes=4_000_000, offset=1_234_567, progress=seen.append)
    assert target.read_bytes() == data
    assert seen[-1] == len(data) - 1_234_567


def test_get_of_a_missing_file(link: Transport, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="does not exist"):
        link.get(str(tmp_path / "missing"), tmp_path / "target", soon(), max_bytes=9)


def test_stream_follows_a_growing_file(link: Transport, tmp_path: Path) -> None:
    path = tmp_path / "grows"
    assert b"".join(link.stream(str(path), 0, soon(), max_bytes=99)) == b""
    path.write_bytes(b"first")
    assert b"".join(link.stream(str(path), 0, soon(), max_bytes=99)) == b"first"
    with path.open("ab") as file:
        file.write(b" second")
    assert b"".join(link.stream(str(path), 5, soon(), max_bytes=99)) == b" second"
    assert b"".join(link.stream(str(path), 12, soon(), max_bytes=99)) == b""
