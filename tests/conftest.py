"""Tiers: which tests run, in what order, and how long each tier may take in all.

`python -m tests` runs all but nightly and wine in two lanes (tests/__main__.py). Here `--tier` takes one or more of
TIERS, or `all` (but nightly and wine); the default is `unit`, or what the file holds
that is named on the command line. Tiers run in order; a tier that outlives its budget fails the rest of itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent

# Minutes on two cores, in two lanes side by side (`tests/__main__.py`). `unit` includes the linters. Twice what a tier
# takes on a usual day: on one with slow memory compilers take 1.6 times as long, and emulated machines 2.7 times.
BUDGET_MIN: Final[dict[str, float]] = {
    "unit": 15,
    "contract": 20,
    "forms": 40,  # builds every binary from empty caches: 15 min of compiler on two CPUs, side by side
    "vm": 28,
    "faults": 28,  # beside `vm`, which keeps one CPU busy
    "nightly": float("inf"),
    "wine": float("inf"),  # a Windows Python, where Wine is
}
TIERS: Final = tuple(BUDGET_MIN)
# One test's limit where it names none, in seconds; the hard stop below the tier's budget.
LIMIT_S: Final = {"unit": 120, "contract": 180, "forms": 600, "vm": 900, "faults": 300, "nightly": 3600, "wine": 1500}

APART: Final = {"nightly", "wine"}  # only when asked for

SPENT = pytest.StashKey[dict[str, float]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """--tier: see the module's text."""
    parser.addoption(
        "--tier",
        action="append",
        default=[],
        help=f"{', '.join(TIERS)} or all (but {', '.join(sorted(APART))}); repeatable",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse unknown tiers before anything is collected."""
    for tier in _asked(config):
        if tier not in TIERS:
            raise pytest.UsageError(f"--tier {tier}: not one of {', '.join(TIERS)}, all")
    config.stash[SPENT] = {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test with its tier, keep the tiers asked for, in order."""
    wanted = _wanted(config)
    for item in items:
        tier = tier_of(item)
        if tier == "unit" and item.get_closest_marker("unit") is None:
            item.add_marker(pytest.mark.unit)
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LIMIT_S[tier]))
    gone = [item for item in items if tier_of(item) not in wanted]
    if gone:
        config.hook.pytest_deselected(items=gone)
    items[:] = sorted((item for item in items if tier_of(item) in wanted), key=lambda item: TIERS.index(tier_of(item)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Add each test's time, fixtures included, to its tier."""
    started = time.monotonic()
    try:
        return (yield)
    finally:
        spent = item.config.stash[SPENT]
        spent[tier_of(item)] = spent.get(tier_of(item), 0.0) + time.monotonic() - started


def pytest_runtest_setup(item: pytest.Item) -> None:
    """The budget is a promise: past it the tier fails, rather than run on."""
    tier = tier_of(item)
    spent = item.config.stash[SPENT].get(tier, 0.0)
    if spent > BUDGET_MIN[tier] * 60:
        pytest.fail(f"tier {tier} has used {spent:.0f} s of its {BUDGET_MIN[tier] * 60:.0f} s", pytrace=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line a tier: what it took and what it may take."""
    for tier, spent in config.stash[SPENT].items():
        terminalreporter.write_line(f"tier {tier}: {spent:.1f} s of {BUDGET_MIN[tier] * 60:.0f} s")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A last test that overran its tier's budget fails the session too."""
    spent = session.config.stash[SPENT]
    if any(seconds > BUDGET_MIN[tier] * 60 for tier, seconds in spent.items()):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def tier_of(item: pytest.Item) -> str:
    """The last tier that marks this test; `unit` when none does."""
    return next((tier for tier in reversed(TIERS) if item.get_closest_marker(tier)), "unit")


def _asked(config: pytest.Config) -> list[str]:
    return [tier for given in config.getoption("--tier") for tier in str(given).split(",") if tier != "all"]


def _wanted(config: pytest.Config) -> set[str]:
    given = config.getoption("--tier")
    if given:
        everything = any("all" in str(tiers).split(",") for tiers in given)
        return set(_asked(config)) | (set(TIERS) - APART if everything else set())
    named = [argument.partition("::")[0] for argument in config.args]
    if named and all(Path(config.invocation_params.dir, name).is_file() for name in named):
        return set(TIERS)
    return {"unit"}


@pytest.fixture(scope="session")
def repo() -> Path:
    """The checkout's root."""
    return ROOT


@pytest.fixture
def lab_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A LAB_HOME of this test's own."""
    home = tmp_path / "lab-home"
    monkeypatch.setenv("LAB_HOME", str(home))
    return home
