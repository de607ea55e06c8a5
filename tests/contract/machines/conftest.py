"""An EC2 of its own for every test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.machines.providers import inspect_ssh
from tests.contract.ec2 import running_ec2, running_moto
from tests.contract.ec2_bench import Bench


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with running_moto(tmp_path_factory.mktemp("moto")) as port:
        yield port


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moto: int) -> Iterator[Bench]:
    monkeypatch.setattr(inspect_ssh, "ASK_S", 8.0)
    with running_ec2(tmp_path / "ec2", monkeypatch, moto) as found:
        yield Bench(tmp_path, found)
