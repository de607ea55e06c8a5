"""Mutated real documents, fed to whatever reads them: nothing may come out but a value or an error of ours.

`python -m tests.unit.runs.fuzz TRIES` prints one JSON line: the tries of each reader, the slowest one's CPU seconds,
and the most memory that was used.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lab import report, verdict
from lab.forms.source import modules
from lab.forms.source.goask import Go
from lab.guest.wire import GuestManifest, WireError, encode, load
from lab.machines import lifecycle, state
from lab.machines.vm import heartbeat
from lab.model.errors import LabError
from lab.model.loading.load_scenario import load_scenario
from lab.model.loading.load_service import load_service
from lab.runs import merge, sealed
from lab.runs.read import read
from lab.system.wait import Deadline
from tests.support import lab_at, pinned_go
from tests.unit.report import synthetic

HERE: Final = Path(__file__).parent
REPO: Final = HERE.parents[2]
RUN: Final = HERE / "recorded"
MACHINE: Final = HERE.parent / "machines" / "recorded_machine.json"
BEAT: Final = (
    b'{"boot_id":"f3d38310-e90b-4f3e-af11-fce4df8c32e8","image_id":"35ac0fffbf4b5a22","uptime_s":7.52,"ssh":true}'
)
MOD: Final = b"""module example.test/a

go 1.24

toolchain go1.26.1

require example.test/b v1.2.3

replace example.test/b => ../b
"""
GO_S: Final = 7200.0
# share of the tries in per cent: a whole run to its three reports costs a hundred times a heartbeat
SHARES: Final = {"run": 20, "manifest": 20, "machine": 20, "heartbeat": 15, "service": 12, "scenario": 12, "go.mod": 1}

# what stands in for a value somewhere in a document
VALUES: Final = [
    "null", "true", "[]", "{}", '""', "0", "-1", "1", "2", "1e18", "-1e18", "1e300", "1e400", "5e-324", "NaN", "0.0",
    "9223372036854775807", "18446744073709551616", "9" * 30, "9" * 5000, '"\\ud800"', '"\\u0000"', '"\u202e\U0001f600"',
    '"../../etc"', '"' + "x" * 5000 + '"', "[" * 3000, '{"a":' * 500, "[[[]]]", '[{"a": 1}]',
]  # fmt: skip
BYTES: Final = [
    b"", b"\0", b"\xff\xfe", b"\n", b'"', b"{", b"}", b"]", b",", b"[", b"\xed\xa0\x80", b"&a *a ", b"\t: - |",
]  # fmt: skip


@dataclass(frozen=True)
class Change:
    """One mutation: `what`, where (a share of the document), with which of the stand-ins."""

    what: str
    at: float
    value: int


changes = st.lists(
    st.builds(
        Change,
        st.sampled_from(["value", "value", "value", "drop", "double", "cut", "bytes", "flip"]),
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 10_000),
    ),
    min_size=1,
    max_size=3,
)


def mutated(data: bytes, how: list[Change]) -> bytes:
    """The document with these changes; JSON in its values where it still is JSON, else in its bytes."""
    for change in how:
        data = _values(data, change) if change.what in ("value", "drop", "double") else _bytes(data, change)
    return data


def _values(data: bytes, change: Change) -> bytes:
    try:
        doc = json.loads(data)
    except (ValueError, RecursionError):
        lines = data.splitlines(keepends=True)  # a log or YAML: one of its lines
        if not lines:
            return data
        at = int(change.at * len(lines))
        new = [] if change.what == "drop" else [lines[at]] * 2
        if change.what == "value":
            head = lines[at].partition(b":")[0] if b":" in lines[at] and b'"' not in lines[at] else b""
            new = [head + b": " * bool(head) + VALUES[change.value % len(VALUES)].encode() + b"\n"]
        return b"".join([*lines[:at], *new, *lines[at + 1 :]])
    spots: list[tuple[Any, Any]] = []
    _spots(doc, spots)
    if not spots:
        return data
    parent, key = spots[int(change.at * len(spots))]
    if change.what == "drop":
        del parent[key]
    elif change.what == "double" and isinstance(parent, list):
        parent.append(parent[key])
    else:
        parent[key] = "<HERE>"
    return json.dumps(doc).encode().replace(b'"<HERE>"', VALUES[change.value % len(VALUES)].encode())


def _spots(value: Any, found: list[tuple[Any, Any]]) -> None:
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        found.append((value, key))
        _spots(value[key], found)


def _bytes(data: bytes, change: Change) -> bytes:
    at = int(change.at * len(data))
    match change.what:
        case "cut":
            return data[:at]
        case "bytes":
            return data[:at] + BYTES[change.value % len(BYTES)] * (1 + change.value % 3) + data[at:]
    return data[:at] + bytes([data[at] ^ (1 << change.value % 8)]) + data[at + 1 :] if data else data


@dataclass
class Readers:
    """Every reader with the real documents that it is fed, in a folder of its own."""

    room: Path
    go: Go
    tries: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    slowest: str = ""

    def __post_init__(self) -> None:
        self.run = self.room / "run"
        shutil.copytree(RUN, self.run)
        synthetic.seal(self.run)
        self.files = {path: path.read_bytes() for path in sorted(self.run.rglob("*")) if path.is_file()}
        self.names = [path for path in self.files if path.parent != self.run or path.name == "host-events.jsonl"]
        self.lab = lab_at(self.room / "home")
        self.machine = self.lab.paths.machine("m")
        self.machine.mkdir(parents=True)
        self.service = self.room / "service"
        self.service.mkdir()
        for path in (REPO / "demo/service").glob("*.yaml"):
            shutil.copy(path, self.service)

    def a_run(self, how: list[Change], pick: int) -> None:
        """The whole way: files to summary to the three reports. Half of the packed files are mutated unpacked."""
        path = self.names[pick % len(self.names)]
        data = self.files[path]
        if path.suffix == ".gz" and pick % 2:
            data = gzip.compress(mutated(gzip.decompress(data), how), 1)
        else:
            data = mutated(data, how)
        path.write_bytes(data)
        try:
            run = read(synthetic.seal(self.run))
            summary = verdict.summarize(run)
            json.dumps(encode(summary), allow_nan=False).encode()
            for write in (report.html, report.markdown, report.junit):
                write(summary).encode()
            "".join(map(merge.line, merge.merged(run.host_events, run.records))).encode()
        finally:
            path.write_bytes(self.files[path])

    def a_manifest(self, how: list[Change], pick: int) -> None:
        path = self.run / "manifest.json"
        path.write_bytes(mutated(self.files[path], how))
        try:
            sealed.glance(self.run)
            sealed.check(self.run)
            verdict.summarize(read(self.run))
        finally:
            path.write_bytes(self.files[path])
        load(GuestManifest, mutated(self.files[self.run / "guest/manifest.json"], how))

    def a_machine(self, how: list[Change], pick: int) -> None:
        doc = MACHINE.read_bytes().replace(b"lab/machines/m", str(self.machine).encode())
        (self.machine / "machine.json").write_bytes(mutated(doc, how))
        found = state.look(self.lab, "m")
        assert found.machine is not None or found.problem
        if found.machine is not None and found.machine.handle is not None and pick % 8 == 0:
            lifecycle.glance(self.lab, "m")

    def a_heartbeat(self, how: list[Change], pick: int) -> None:
        log = self.machine / "heartbeat.jsonl"
        log.write_bytes(b"\n" + BEAT + b"\n" + mutated(BEAT, how) + b"\n")
        heartbeat.last_beat(log)

    def a_service(self, how: list[Change], pick: int) -> None:
        names = sorted(self.service.glob("*.yaml"))
        path = names[pick % len(names)]
        data = path.read_bytes()
        path.write_bytes(mutated(data, how))
        try:
            load_service(self.service)
        finally:
            path.write_bytes(data)

    def a_scenario(self, how: list[Change], pick: int) -> None:
        path = self.room / "scenario.yaml"
        path.write_bytes(mutated((REPO / "demo/scenarios/shop.yaml").read_bytes(), how))
        load_scenario(path)

    def a_go_mod(self, how: list[Change], pick: int) -> None:
        """Go reads it, and what Go says is read by us."""
        folder = self.room / "module"
        folder.mkdir(exist_ok=True)
        (folder / "go.mod").write_bytes(mutated(MOD, how))
        reader = modules._Reader(self.go)
        reader.go_line(folder / "go.mod", reader.module(folder))

    def feed(self, kind: str, how: list[Change], pick: int) -> None:
        act: Callable[[list[Change], int], None] = getattr(self, f"a_{kind.replace('.', '_')}")
        began = time.process_time()
        self.tries[kind] += 1
        try:
            act(how, pick)
        except (LabError, WireError):
            self.refused[kind] += 1
        spent = time.process_time() - began
        if spent > self.slowest_s:
            self.slowest_s, self.slowest = spent, f"{kind} {how} {pick}"


def feed(tries: int) -> Readers:
    """Run them all, in the shares of SHARES. Raises what is no error of ours, with the smallest change to it."""
    with tempfile.TemporaryDirectory(prefix="lab-fuzz-") as room:
        env = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
        readers = Readers(room=Path(room), go=Go(toolchain=pinned_go(), env=env, deadline=Deadline.after(GO_S)))
        for kind in SHARES:  # what is not changed is read
            readers.feed(kind, [], 0)
        assert not readers.refused, readers.refused
        for kind, share in SHARES.items():
            _fed(readers, kind, max(1, tries * share // 100))
        return readers


def _fed(readers: Readers, kind: str, tries: int) -> None:
    @settings(
        max_examples=tries,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(how=changes, pick=st.integers(0, 1000))
    def one(how: list[Change], pick: int) -> None:
        readers.feed(kind, how, pick)

    one()


def _peak_mib() -> float:
    """Of this program alone: on Linux the usual figure begins with the memory of whoever started it."""
    import resource

    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    readers = feed(int(sys.argv[1]))
    peak_mib = _peak_mib()
    told = {"tries": dict(readers.tries), "refused": dict(readers.refused), "slowest": readers.slowest}
    print(json.dumps({**told, "slowest_s": round(readers.slowest_s, 3), "peak_mib": round(peak_mib, 1)}))


if __name__ == "__main__":
    main()
