"""Downloads from a real server on the loopback that truncates, stalls, lies and refuses."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lab.model.errors import Cancelled, LabError, PreconditionError, SecurityStop, TransientError
from lab.system import download
from lab.system.download import Pinned
from lab.system.wait import Deadline

DATA = random.Random(5).randbytes(1_000_003)
HALF = len(DATA) // 2
Reply = Callable[["Handler"], None]


class Server(ThreadingHTTPServer):
    """Answers the n-th request with replies[n], the last one from then on; remembers each Range asked for."""

    daemon_threads = True

    def __init__(self, *replies: Reply) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies = replies
        self.ranges: list[str | None] = []
        self.let_go = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/kernel.img"


class Handler(BaseHTTPRequestHandler):
    """One request; what it says is the test's."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # the base class's name
        self.server.ranges.append(self.headers["Range"])
        self.server.replies[min(len(self.server.ranges), len(self.server.replies)) - 1](self)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the base class's name
        pass

    def send(self, code: int, body: bytes = b"", **headers: str) -> None:
        """Headers are named with _ for -; Content-Length is the body's unless given."""
        self.send_response(code)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def honest(request: Handler) -> None:
    start = int((request.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
    if start:
        where = f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"
        request.send(206, DATA[start:], Content_Range=where)
    else:
        request.send(200, DATA)


def truncates(request: Handler) -> None:
    request.send(200, DATA[:HALF], Content_Length=str(len(DATA)))


def stalls(request: Handler) -> None:
    request.send(200, DATA[:HALF], Content_Length=str(len(DATA)))
    request.server.let_go.wait(30)


def busy(request: Handler) -> None:
    request.send(429, b"slow down", Retry_After="0")


def unavailable(request: Handler) -> None:
    request.send(503, b"later")


def page(request: Handler) -> None:
    request.send(200, b"\n <!DOCTYPE html><title>Log in</title>" + DATA)


def ignores_range(request: Handler) -> None:
    request.send(200, DATA)


def other_bytes(request: Handler) -> None:
    request.send(200, DATA[::-1])


def longer(request: Handler) -> None:
    request.send(200, DATA + b"x" * 1000)


def announces_less(request: Handler) -> None:
    request.send(200, DATA, Content_Length=str(HALF))


def unsatisfiable(request: Handler) -> None:
    request.send(416)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(*replies: Reply) -> Server:
        server = Server(*replies)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.let_go.set()
        server.shutdown()
        server.server_close()


def pinned(server: Server, digest: str = "") -> Pinned:
    return Pinned(url=server.url, digest=digest or f"sha256:{hashlib.sha256(DATA).hexdigest()}", size_bytes=len(DATA))


def fetch(server: Server, target: Path, *, seconds: float = 20) -> Path:
    return download.fetch(pinned(server), target, deadline=Deadline.after(seconds), pause_s=0.01, stall_s=0.3)


@pytest.mark.parametrize(
    ("replies", "ranges"),
    [
        ((honest,), [None]),
        ((truncates, honest), [None, f"bytes={HALF}-"]),
        ((stalls, honest), [None, f"bytes={HALF}-"]),
        ((announces_less, honest), [None, f"bytes={HALF}-"]),
        ((truncates, ignores_range), [None, f"bytes={HALF}-"]),
        ((truncates, unsatisfiable, honest), [None, f"bytes={HALF}-", None]),
        ((busy, busy, honest), [None, None, None]),
        ((unavailable, honest), [None, None]),
        ((truncates, unavailable, honest), [None, f"bytes={HALF}-", f"bytes={HALF}-"]),
    ],
    ids=lambda value: "-".join(reply.__name__ for reply in value) if callable(value[0]) else "",
)
def test_arrives_whole(
    serve: Callable[..., Server], tmp_path: Path, replies: tuple[Reply, ...], ranges: list[str | None]
) -> None:
    server = serve(*replies)
    target = fetch(server, tmp_path / "cache" / "kernel.img")
    assert target.read_bytes() == DATA
    assert server.ranges == ranges
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in target.parent.iterdir() if not path.name.endswith(".lock")] == ["kernel.img"]


@pytest.mark.parametrize(
    ("reply", "error", "says"),
    [
        (other_bytes, SecurityStop, "does not match the pinned sha256:"),
        (longer, SecurityStop, f"is longer than the pinned {len(DATA)} bytes"),
        (page, PreconditionError, "returned a web page instead of kernel.img, probably of a captive portal"),
        (lambda request: request.send(404, b"no"), PreconditionError, "404 Not Found"),
        (unavailable, TransientError, "503 Service Unavailable .0 of 1000003 bytes are kept"),
        (stalls, TransientError, f"no data for 0.3 s .{HALF} of 1000003 bytes are kept"),
        (truncates, TransientError, f"the server closed the connection after {HALF} of 1000003"),
    ],
)
def test_refuses_with_a_cause_and_publishes_nothing(
    serve: Callable[..., Server], tmp_path: Path, reply: Reply, error: type[LabError], says: str
) -> None:
    target = tmp_path / "kernel.img"
    with pytest.raises(error, match=says):
        fetch(serve(reply), target)
    assert not target.exists()


def test_retry_after_beyond_the_deadline_is_not_waited_for(serve: Callable[..., Server], tmp_path: Path) -> None:
    def hour(request: Handler) -> None:
        request.send(429, Retry_After="3600")

    with pytest.raises(TransientError, match="429"):
        fetch(serve(hour), tmp_path / "kernel.img", seconds=5)


def test_a_portal_in_the_middle_keeps_what_had_come(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(truncates, page, honest)
    target = tmp_path / "kernel.img"
    with pytest.raises(PreconditionError, match="captive portal"):
        fetch(server, target)
    assert fetch(server, target).read_bytes() == DATA
    assert server.ranges == [None, f"bytes={HALF}-", f"bytes={HALF}-"]


def test_a_part_of_another_file_costs_one_more_download(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(honest)
    (tmp_path / "kernel.img.part").write_bytes(b"other" * 1000)
    assert fetch(server, tmp_path / "kernel.img").read_bytes() == DATA
    assert server.ranges == ["bytes=5000-", None]


def test_a_file_that_is_there_is_hashed_not_fetched(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(honest)
    target = fetch(server, tmp_path / "kernel.img")
    fetch(server, target)
    assert len(server.ranges) == 1
    target.write_bytes(DATA[:-1] + b"?")  # rotten on the disk
    assert fetch(server, target).read_bytes() == DATA
    assert len(server.ranges) == 2


def test_sha512_is_a_pin_too(serve: Callable[..., Server], tmp_path: Path) -> None:
    wanted = pinned(serve(honest), f"sha512:{hashlib.sha512(DATA).hexdigest()}")
    assert download.fetch(wanted, tmp_path / "k", deadline=Deadline.after(20)).read_bytes() == DATA


def test_progress_is_told_up_to_the_size(serve: Callable[..., Server], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    wanted = pinned(serve(honest))
    download.fetch(wanted, tmp_path / "k", deadline=Deadline.after(20), on_bytes=lambda *told: seen.append(told))
    assert seen == sorted(seen)
    assert seen[-1] == (len(DATA), len(DATA))


def test_a_stop_is_heard_and_the_part_kept(serve: Callable[..., Server], tmp_path: Path) -> None:
    cancel = threading.Event()
    deadline = Deadline.after(20, cancel)
    wanted = pinned(serve(honest))
    with pytest.raises(Cancelled):
        download.fetch(wanted, tmp_path / "k", deadline=deadline, on_bytes=lambda *_told: cancel.set())
    assert 0 < (tmp_path / "k.part").stat().st_size <= len(DATA)
    assert not (tmp_path / "k").exists()


def test_other_protocols_are_refused(tmp_path: Path) -> None:
    wanted = Pinned(url=tmp_path.as_uri() + "/x", digest="sha256:00", size_bytes=1)
    with pytest.raises(PreconditionError, match="not an HTTP address"):
        download.fetch(wanted, tmp_path / "k", deadline=Deadline.after(5))


def test_nobody_listens(tmp_path: Path, serve: Callable[..., Server]) -> None:
    server = serve(honest)
    server.shutdown()
    server.server_close()
    with pytest.raises(TransientError, match="the connection was lost"):
        fetch(server, tmp_path / "k")


def test_too_little_disk_is_told_before_anything_is_asked(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(honest)
    wanted = Pinned(url=server.url, digest="sha256:00", size_bytes=1 << 60)
    with pytest.raises(PreconditionError, match=rf"\d+ bytes free; kernel.img needs {1 << 60} more") as caught:
        download.fetch(wanted, tmp_path / "k", deadline=Deadline.after(5))
    assert "lab cache prune" in caught.value.fix
    assert server.ranges == []


FULL = """
import sys
from pathlib import Path
from lab.model.errors import PreconditionError
from lab.system import download
from lab.system.wait import Deadline
download.shutil.disk_usage = lambda path: type("Usage", (), {"free": 1 << 40})
url, digest, size, target = sys.argv[1:]
try:
    wanted = download.Pinned(url=url, digest=digest, size_bytes=int(size))
    download.fetch(wanted, Path(target), deadline=Deadline.after(20))
except PreconditionError as error:
    print(error)
"""


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="a tmpfs of one's own is Linux's")
def test_the_disk_fills_up_on_the_way(serve: Callable[..., Server], tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    wanted = pinned(serve(honest))
    argv = [sys.executable, "-c", FULL, wanted.url, wanted.digest, str(wanted.size_bytes), str(small / "k")]
    script = 'mount -t tmpfs -o size=400k none "$1" && shift && exec "$@"'
    ended = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh", str(small), *argv],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "bytes free; kernel.img needs" in ended.stdout, ended.stderr
