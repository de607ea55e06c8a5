"""The playbook applied inside a machine that we did not bake, and from here: the same machine comes out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import foreign_vm
from tests.support import run_lab, test_home


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[foreign_vm.Foreign]:
    """A machine that this host's `ssh` knows as `colleague`."""
    with foreign_vm.running(tmp_path / "vm") as running:
        monkeypatch.setenv("PATH", foreign_vm.known_to_ssh(running, tmp_path / "bin"))
        yield running


@pytest.mark.nightly
@pytest.mark.parametrize("where", ["guest", "host"])
def test_the_playbook_is_applied_on_either_side(there: foreign_vm.Foreign, where: str) -> None:
    argv = ("up", "hosts-a", "--provider", "ssh", "--address", "colleague", "--allow-host-changes", "--ansible", where)
    ran = run_lab(*argv, home=test_home(), limit_s=1500)
    try:
        assert ran.code == 0, ran.stderr
        print(ran.stderr)
        # all that Ansible brought is gone, all that the playbook promises is there
        assert there.run("ls -A /var/tmp | grep -c lab-ansible; true").strip() == "0"
        verified = there.run("sudo python3 -I /usr/lib/lab/verify.py; true", limit_s=300)
        checks = {check["name"]: check for check in json.loads(verified)["checks"]}
        # compilers are not put onto a machine that is borrowed
        assert checks["tools"]["message"] == "absent: clang, llvm-strip, make"
        assert [name for name, check in checks.items() if not check["ok"]] == ["tools"]
        log = test_home() / "logs/playbook-hosts-a.log"
        assert "failed=0" in log.read_text(encoding="utf-8")
    finally:
        down = run_lab("down", "hosts-a", home=test_home(), limit_s=600)
    assert down.code == 0, down.stderr
