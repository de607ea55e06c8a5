"""What a cut costs, by a real sshd on loopback: the bytes that cross the wire twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.remote import connect
from lab.runs import fetch as arriving
from lab.system.wait import Deadline
from tests.bench import fetch, targets
from tests.contract.sshd import running_sshd
from tests.support import lab_at

pytestmark = pytest.mark.contract


def test_after_a_cut_at_most_four_mib_are_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "BYTES", 30_000_000)
    monkeypatch.setattr(fetch, "FOLDER", str(tmp_path / "run"))
    lab = lab_at(tmp_path / "home")
    with running_sshd(tmp_path) as server:
        with connect(lab, server.endpoint, Deadline.after(30)) as link:
            fetch._prepare(link, Deadline.after(60))
        again = fetch._cut(lab, server.endpoint)
        with connect(lab, server.endpoint, Deadline.after(30)) as link:
            source, home = f"{tmp_path}/run-many", tmp_path / "many"
            sealed = arriving.fetch(link, source, home, Deadline.after(60), progress=lambda _done, _total: None)
    # a second login and what was under way when the line went; less than nothing would be a file that is not whole
    assert 0 < again <= targets.RESENT_MIB, f"{again:.2f} MiB"
    assert len(sealed.files) == fetch.FILES == len(list(home.glob("noise*")))
