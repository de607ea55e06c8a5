"""Two providers' times into one table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.model.errors import UsageError
from tests.bench import against
from tests.bench.against import Up
from tests.support import lab_at


def test_the_ratio_is_of_whole_ours_to_their_tool_alone() -> None:
    ours, theirs = [Up(total_s=8.0, tool_s=0.0)], [Up(total_s=42.0, tool_s=40.0)]
    found = {figure.name: figure for figure in against.figures("vagrant", ours, theirs)}
    assert found["lab up with qemu ÷ vagrant up"].median == pytest.approx(0.2)
    assert found["lab's part over vagrant up"].median == pytest.approx(5.0)
    assert found["lab up, vagrant"].median == 42.0


def test_the_playbook_is_neither_theirs_nor_our_cost() -> None:
    theirs = [Up(total_s=56.0, tool_s=40.0, playbook_s=14.0)]
    found = {figure.name: figure for figure in against.figures("vagrant", theirs, theirs)}
    assert found["lab's part over vagrant up"].median == pytest.approx(5.0)
    assert found["of it the playbook"].median == 14.0


def test_a_provider_without_a_tool_of_its_own_gets_no_ratio() -> None:
    same = [Up(total_s=8.0, tool_s=0.0)]
    assert [figure.name for figure in against.figures("lima", same, same)] == ["lab up, qemu", "lab up, lima"]


def test_the_tools_part_is_read_from_the_records() -> None:
    def record(event: str, name: str, seconds: float) -> str:
        return json.dumps({"event": event, "data": {"name": name, "seconds": seconds}})

    lines = [record("StepFinished", "start", 41.0), record("StepFinished", "vagrant", 40.5), "no record", "[1]"]
    assert against.tool_seconds("\n".join(lines), "vagrant") == 40.5
    assert against.tool_seconds("\n".join(lines), "lima") == 0.0


@pytest.mark.parametrize("provider", ["qemu", "local", "ssh", "nobody"])
def test_what_is_no_other_machine_is_refused(provider: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are"):
        against.measure(lab_at(tmp_path), provider, 1)
