"""EC2 on loopback: moto's API behind a proxy that can be late, refuse and count, and instances that really answer.

What an instance is reported by its user data really runs, in tests/fakes/cloud_machine.py.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lab.machines.providers.aws import api as aws_api
from lab.machines.providers.aws import resources as aws_resources
from lab.system.wait import Deadline
from tests.contract.sshd import free_port
from tests.fakes import cloud_machine

REGION = "eu-central-1"
FROM = "203.0.113.7"  # where whoever asks comes from, as far as anybody can tell
HOOK = "#cloud-boothook\n"
IMAGES = [
    ("ami-0a000001", "debian-12-amd64-20260101-2000", "136693071363", "x86_64", "2026-01-01"),
    ("ami-0a000002", "debian-12-amd64-20260701-2500", "136693071363", "x86_64", "2026-07-01"),
    ("ami-0a000003", "debian-12-arm64-20260701-2500", "136693071363", "arm64", "2026-07-01"),
    ("ami-0a000004", "debian-12-backports-amd64-20260801-2600", "136693071363", "x86_64", "2026-08-01"),
    ("ami-0bad0001", "debian-12-amd64-20260901-2700", "999999999999", "x86_64", "2026-09-01"),
]


class Ec2:
    """The proxy's state. `refuse`: action -> error code; `late`: actions that are done but never answered."""

    def __init__(self, folder: Path, moto_port: int) -> None:
        self.folder = folder
        self.moto_port = moto_port
        self.asked: Counter[str] = Counter()
        self.refuse: dict[str, str] = {}
        self.late: set[str] = set()
        self.over = threading.Event()
        self.scripts: dict[str, str] = {}
        self.pids: dict[str, int] = {}
        self.log = folder / "instance.log"

    def answer(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes] | None:
        """Status and body; None for no answer at all."""
        given = urllib.parse.parse_qs(body.decode())
        action = given["Action"][0]
        self.asked[action] += 1
        if code := self.refuse.get(action) or self.refuse.get("*"):
            error = f"<Error><Code>{code}</Code><Message>said by the test</Message></Error>"
            return 400, f"<Response><Errors>{error}</Errors><RequestID>0</RequestID></Response>".encode()
        link = http.client.HTTPConnection("127.0.0.1", self.moto_port, timeout=30)
        link.request("POST", "/", body, headers)
        reply = link.getresponse()
        text = reply.read().decode()
        link.close()
        if reply.status == 200:
            self._happen(action, given, text)
        if action in self.late:
            self.over.wait(60)
            return None
        return reply.status, re.sub(r"<ipAddress>[^<]*<", "<ipAddress>127.0.0.1<", text).encode()

    def _happen(self, action: str, given: dict[str, list[str]], text: str) -> None:
        ids = re.findall(r"<instanceId>(i-[0-9a-f]+)<", text)
        if action == "RunInstances":
            data = base64.b64decode(given["UserData"][0]).decode()
            assert data.startswith(HOOK)
            self.scripts[ids[0]] = data.removeprefix(HOOK)
        for name in ids:
            if action in {"RunInstances", "StartInstances"} and name not in self.pids:
                self.pids[name] = cloud_machine.boot(self.scripts[name], aws_resources.SSH_PORT, self.log)
            if action in {"StopInstances", "TerminateInstances"} and name in self.pids:
                cloud_machine.end(self.pids.pop(name))


class _Proxy(BaseHTTPRequestHandler):
    ec2: Ec2
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._say(200, f"{FROM}\n".encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name: text for name, text in self.headers.items() if name.lower() != "host"}
        said = self.ec2.answer(body, headers)
        if said is None:
            self.close_connection = True
        else:
            self._say(*said)

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Tests tell."""


@contextmanager
def running_moto(folder: Path) -> Iterator[int]:
    """moto's server, which several tests use one after another; its port."""
    images = folder / "images.json"
    images.write_text(json.dumps([_image(*each) for each in IMAGES]))
    port = free_port()
    environ = {**os.environ, "MOTO_AMIS_PATH": str(images), "MOTO_ENABLE_AMI_VALIDATION": "1"}
    with (folder / "moto.log").open("wb") as log:
        argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        moto = subprocess.Popen(argv, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _listens(port, moto, folder / "moto.log")
        yield port
    finally:
        moto.terminate()
        moto.wait(10)


@contextmanager
def running_ec2(folder: Path, monkeypatch: pytest.MonkeyPatch, port: int) -> Iterator[Ec2]:
    """An empty EC2 over moto on `port`, and the aws provider pointed there with a credential that nobody looks at."""
    folder.mkdir(parents=True, exist_ok=True)
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    link.request("POST", "/moto-api/reset")
    assert link.getresponse().status == 200
    link.close()
    ec2 = Ec2(folder, port)
    handler = type("Proxy", (_Proxy,), {"ec2": ec2})
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    proxy.daemon_threads = True
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    where = f"http://127.0.0.1:{proxy.server_address[1]}"
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, text in {
        "AWS_ENDPOINT_URL_EC2": where,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(folder / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
    }.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setattr(aws_api, "CHECKIP", where)
    monkeypatch.setattr(aws_resources, "SSH_PORT", free_port())
    monkeypatch.setattr(aws_resources, "POLL_S", 0.1)
    try:
        yield ec2
    finally:
        ec2.over.set()
        for pid in ec2.pids.values():
            cloud_machine.end(pid)
        proxy.shutdown()
        proxy.server_close()


def _image(ami: str, name: str, owner: str, arch: str, day: str) -> dict[str, object]:
    return {
        "ami_id": ami,
        "name": name,
        "description": name,
        "owner_id": owner,
        "architecture": arch,
        "creation_date": f"{day}T00:00:00.000Z",
        "root_device_name": "/dev/xvda",
        "root_device_type": "ebs",
        "virtualization_type": "hvm",
        "hypervisor": "xen",
        "image_location": f"amazon/{name}",
        "image_type": "machine",
        "public": True,
        "state": "available",
        "platform": None,
        "sriov": "simple",
    }


def _listens(port: int, moto: subprocess.Popen[bytes], log: Path) -> None:
    limit = Deadline.after(60)
    while not limit.passed():
        assert moto.poll() is None, log.read_text()
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            link.request("GET", "/moto-api/")
            link.getresponse().read()
        except OSError:
            limit.sleep(0.1)
        else:
            return
        finally:
            link.close()
    raise AssertionError(log.read_text())
