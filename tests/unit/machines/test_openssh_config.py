"""From an address to a route, and which host keys are taken: as OpenSSH reads both, from its own real output."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab.machines.providers.ssh import openssh_config
from lab.machines.providers.ssh.openssh_config import Address, Route, choose, parse, parse_openssh, pin
from lab.model.errors import ConfigError, PreconditionError, SecurityStop
from lab.model.machine import MachineSpec
from lab.remote import hostkeys
from lab.system import proc
from tests.support import lab_at


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("box", Address(host="box")),
        ("friend@box.example:2222", Address(host="box.example", user="friend", port=2222)),
        ("first.last@10.0.0.7", Address(host="10.0.0.7", user="first.last")),
        ("[fe80::1%eth0]:22", Address(host="fe80::1%eth0", port=22)),
        ("friend@[::1]", Address(host="::1", user="friend")),
    ],
)
def test_addresses_as_people_write_them(text: str, address: Address) -> None:
    assert parse(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "a b", "-oProxyCommand=x", "friend@-x", "-x@box", "box:0", "box:65536", "box:ssh", "::1", "a@b@c", "[box"],
)
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError) as told:
        parse(text)
    assert "--address" in told.value.fix


def told(tmp_path: Path, config: str, *argv: str) -> dict[str, list[str]]:
    """What the real `ssh -G` says under a config of the test's own."""
    file = tmp_path / "config"
    file.write_text(config)
    argv = ("ssh", "-F", str(file), "-G", *argv)
    return parse_openssh(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


def test_the_users_configuration_decides(tmp_path: Path) -> None:
    (tmp_path / "work key").touch()
    config = (
        f'Host box\n HostName 10.1.2.3\n Port 2200\n User friend\n IdentityFile "{tmp_path}/work key"\n'
        f' HostKeyAlias boxes\n UserKnownHostsFile "{tmp_path}/a b"\n'
    )
    found = choose(Address(host="box"), told(tmp_path, config, "box"), None)
    assert (found.host, found.port, found.user, found.name) == ("10.1.2.3", 2200, "friend", "[boxes]:2200")
    assert found.identity == tmp_path / "work key"
    assert tmp_path / "a b" in found.known_hosts
    assert found.by_hand == "ssh -p 2200 friend@10.1.2.3"


def test_what_was_written_beats_the_configuration(tmp_path: Path) -> None:
    config = "Host *\n HostName 10.1.2.3\n Port 2200\n User friend\n"
    found = choose(Address(host="box", user="me", port=22), told(tmp_path, config, "box"), tmp_path / "mine")
    assert (found.port, found.user, found.identity) == (22, "me", tmp_path / "mine")


def test_a_key_is_the_same_file_in_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").touch()
    monkeypatch.chdir(tmp_path)
    assert choose(Address(host="box"), {"identityfile": ["mine"]}, None).identity == tmp_path / "mine"


def test_default_keys_are_left_to_the_agent_and_the_library(tmp_path: Path) -> None:
    assert choose(Address(host="box"), told(tmp_path, "", "box"), None).identity is None


@pytest.mark.parametrize("option", ["ProxyJump bastion", "ProxyCommand nc %h %p"])
def test_a_jump_host_is_told_with_the_way_round(tmp_path: Path, option: str) -> None:
    with pytest.raises(PreconditionError, match="reached through") as error:
        choose(Address(host="box"), told(tmp_path, f"Host box\n {option}\n", "box"), None)
    assert "ssh -L 2222:box:22" in error.value.fix


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("keys")
    made = []
    for number, kind in enumerate(("ed25519", "ed25519", "ecdsa")):
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(folder / str(number))], check=True)
        made.append(" ".join((folder / f"{number}.pub").read_text().split()[:2]))
    return made


def route(*known_hosts: Path) -> Route:
    return Route(host="10.0.0.7", port=2222, user="friend", identity=None, alias="box", known_hosts=known_hosts)


def test_a_known_key_is_taken(tmp_path: Path, keys: list[str]) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(
        f"# a comment\n\nother {keys[1]}\n[box]:2222,10.0.0.7 {keys[0]} somebody\n@cert-authority * {keys[2]}\n"
    )
    assert pin(route(tmp_path / "none", known), keys[0]) == keys[0]
    assert openssh_config.kinds(route(known)) == ["ssh-ed25519"]


def test_a_hashed_key_is_taken(tmp_path: Path, keys: list[str]) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(f"[box]:2222 {keys[0]}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(known)], check=True, capture_output=True)
    assert "box" not in known.read_text()
    assert pin(route(known), keys[0]) == keys[0]
    with pytest.raises(SecurityStop, match="not in known_hosts"):
        pin(Route(host="h", port=2223, user="u", identity=None, alias="box", known_hosts=(known,)), keys[0])


def test_an_unknown_key_is_shown_and_never_taken(tmp_path: Path, keys: list[str]) -> None:
    with pytest.raises(SecurityStop, match="not in known_hosts") as told:
        pin(route(tmp_path / "none"), keys[0])
    assert hostkeys.fingerprint(keys[0]) in told.value.message
    assert told.value.fix.endswith("ssh -p 2222 friend@10.0.0.7")
    assert told.value.exit_code == 9


def test_a_changed_key_shows_both(tmp_path: Path, keys: list[str]) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(f"[box]:2222 {keys[0]}\n")
    with pytest.raises(SecurityStop, match="does not match known_hosts") as told:
        pin(route(known), keys[1])
    assert all(hostkeys.fingerprint(key) in told.value.message for key in keys[:2])
    assert "ssh-keygen -R '[box]:2222'" in told.value.fix


def test_a_revoked_key_is_never_taken(tmp_path: Path, keys: list[str]) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(f"[box]:2222 {keys[0]}\n@revoked * {keys[0]}\n")
    with pytest.raises(SecurityStop, match="revoked"):
        pin(route(known), keys[0])


@pytest.mark.parametrize(
    ("field", "meant"),
    [
        ("box", True), ("BOX", True), ("b?x", True), ("*", True), ("*,!box", False), ("!box,*", False), ("bo", False),
        ("boxes", False), ("|1|bad", False), ("|1|!|!", False), ("other,box", True),
    ],
)  # fmt: skip
def test_names_are_matched_as_sshd_8_says(field: str, meant: bool) -> None:
    assert hostkeys.names(field, "box") is meant


def test_without_openssh_the_users_config_is_read_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text("Host box\n  HostName 10.1.2.3\n  Port 2200\n  User friend\n")
    monkeypatch.setattr(openssh_config, "USER_CONFIG", tmp_path / "config")
    monkeypatch.setattr(proc, "which", lambda name: None)
    found = openssh_config.route(lab_at(tmp_path), MachineSpec(provider="ssh", address="box"))
    assert (found.host, found.port, found.user) == ("10.1.2.3", 2200, "friend")
    assert found.known_hosts[0] == Path("~/.ssh/known_hosts").expanduser()
