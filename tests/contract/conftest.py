"""What more than one room's tests on this very host need of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from lab.forms.declared import PLAIN
from lab.guest.linux.mounts import mount_kernel_fs, undo
from lab.system import toolchain
from lab.system.wait import Deadline
from tests.contract.audience import Audience
from tests.e2e import browser
from tests.support import lab_at, test_home


@pytest.fixture(scope="session")
def pinned_toolchain() -> None:
    """The pinned Go is in the test home before a test says where modules come from: in a new home it is fetched."""
    toolchain.find(lab_at(test_home()), PLAIN.toolchain, deadline=Deadline.after(600))


@pytest.fixture(scope="module")
def kernel_fs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What `prepare` mounts before a run: without securityfs nobody can tell a kernel's lockdown."""
    journal = tmp_path_factory.mktemp("mounts") / "journal.json"
    mount_kernel_fs(journal)
    try:
        yield
    finally:
        undo(journal)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's own browser, one for all tests of a file."""
    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=browser.program(), args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def audience(chromium: Browser) -> Iterator[Audience]:
    """A page that a browser shows; it complained about nothing."""
    made = Audience(chromium)
    yield made
    made.close()
    assert made.complaints == []
