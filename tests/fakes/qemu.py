#!/usr/bin/env python3
"""A stand-in for QEMU: the same command line, control channel, heartbeat and SSH forward, without a machine behind it.

SSH is a real sshd with the machine's own keys, which lie beside the initial RAM disk. The contract suite of providers
runs the real QEMU through the same calls.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path


def value(argv: list[str], flag: str) -> str:
    return argv[argv.index(flag) + 1]


def matching(argv: list[str], pattern: str) -> str:
    return next(found[1] for text in argv if (found := re.search(pattern, text)))


def sshd(machine: Path, port: int) -> subprocess.Popen[bytes]:
    keygen = ["ssh-keygen", "-y", "-f", str(machine / "id_ed25519")]
    authorized = machine / "fake-authorized"
    authorized.write_bytes(subprocess.run(keygen, check=True, capture_output=True).stdout)
    config = machine / "fake-sshd.config"
    config.write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {machine / 'host_ed25519'}\nAuthorizedKeysFile {authorized}\n"
        "PidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin prohibit-password\n"
    )
    program = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin")
    assert program
    return subprocess.Popen([program, "-D", "-e", "-f", str(config)])


def outlet(argv: list[str], name: str) -> socket.socket:
    """The socket of a chardev, once somebody has connected to it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(matching(argv, rf"^socket,id={name},path=(.*?),server=on,wait=on"))
        listener.listen()
        return listener.accept()[0]


def beat(port: socket.socket, boot_id: str) -> None:
    began = time.monotonic()
    while True:
        line = json.dumps({"boot_id": boot_id, "image_id": "fake-image", "uptime_s": time.monotonic() - began})
        port.sendall(f"\n{line}\n".encode())
        time.sleep(0.2)


def answer(command: str, uuid: str, port: int) -> object:
    if command == "query-uuid":
        return {"UUID": uuid}
    if command == "query-status":
        return {"status": "running", "running": True}
    if command == "human-monitor-command":
        return f"Hub -1 (net):\r\n  TCP[HOST_FORWARD]  14       127.0.0.1 {port}       10.0.2.15    22     0     0\r\n"
    return {}


def control(listener: socket.socket, uuid: str, port: int) -> None:
    while True:
        client, _ = listener.accept()
        with client, client.makefile("rwb") as file:
            file.write(b'{"QMP": {"version": {}, "capabilities": []}}\n')
            file.flush()
            for line in file:
                command = json.loads(line)["execute"]
                file.write(json.dumps({"return": answer(command, uuid, port)}).encode() + b"\n")
                file.flush()
                if command == "quit":
                    os.kill(os.getpid(), signal.SIGTERM)


def main(argv: list[str]) -> None:
    if "--version" in argv:
        print("QEMU emulator version 7.2.22 (fake)")
        return
    uuid, port = value(argv, "-uuid"), int(matching(argv, r"hostfwd=tcp:127\.0\.0\.1:(\d+)-"))
    path = Path(matching(argv, r"^unix:(.*),server"))
    heartbeat = outlet(argv, "heartbeat")
    outlet(argv, "serial").sendall(b"fake serial console\n")
    machine = Path(value(argv, "-initrd")).parent
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    server = sshd(machine, port)

    def end(*_: object) -> None:
        path.unlink(missing_ok=True)
        server.kill()
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    threading.Thread(target=beat, args=(heartbeat, boot_id), daemon=True).start()
    threading.Thread(target=control, args=(listener, uuid, port), daemon=True).start()
    while server.poll() is None:
        time.sleep(0.1)


main(sys.argv)
