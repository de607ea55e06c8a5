"""Checkouts for the tests of labw."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from tests.contract.labw.checkout import Checkout


@pytest.fixture(scope="session")
def uv(tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Path:
    """uv, fetched once for all tests by labw itself."""
    first = Checkout(tmp_path_factory.mktemp("first"), repo)
    ended = first.run("--version")
    assert ended.returncode == 0, ended.stderr
    return next(first.kept.glob("uv-*"))


@pytest.fixture
def fresh(tmp_path: Path, repo: Path) -> Checkout:
    """Nothing of labw's is on this machine but uv's own download cache."""
    return Checkout(tmp_path, repo)


@pytest.fixture
def checkout(fresh: Checkout, uv: Path) -> Checkout:
    """uv is already there."""
    give(fresh, uv)
    return fresh


@pytest.fixture
def whole(tmp_path: Path, repo: Path, uv: Path) -> Checkout:
    """uv is already there, and the locks are the real ones."""
    checkout = Checkout(tmp_path, repo, whole=True)
    give(checkout, uv)
    return checkout


def give(checkout: Checkout, uv: Path) -> None:
    """Put uv where labw would have put it."""
    checkout.kept.mkdir(parents=True)
    pin = hashlib.sha256((checkout.root / "requirements/uv.txt").read_bytes()).hexdigest()
    shutil.copy(uv, checkout.kept / f"uv-{pin}")
