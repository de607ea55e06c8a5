"""Several failures of one moment: one alone as it is, more as a group, equal ones once."""

from __future__ import annotations

import re

import pytest

from lab.model.errors import DemoError, LabError, PreconditionError, raise_all
from lab.system import resources

A, B = DemoError("a", fix="x"), PreconditionError("b", fix="y")


@pytest.mark.parametrize("failed", [[A], [A, DemoError("a", fix="x")]])
def test_one_failure_is_raised_as_it_is(failed: list[LabError]) -> None:
    with pytest.raises(DemoError) as raised:
        raise_all(failed, "several")
    assert raised.value in failed


def test_unlike_failures_travel_together_and_in_order() -> None:
    with pytest.raises(ExceptionGroup, match="several") as raised:
        raise_all(iter([A, B, PreconditionError("a", fix="x"), A]), "several")
    assert [(type(error), str(error)) for error in raised.value.exceptions] == [
        (DemoError, "a"), (PreconditionError, "b"), (PreconditionError, "a"),
    ]  # fmt: skip


def test_exit_code_1_is_a_bugs_alone() -> None:
    """The class without a code of its own is for `except`, never raised or passed on to be raised."""
    for path in resources.PACKAGE.rglob("*.py"):
        assert not re.search(r"raise LabError\(|error=LabError\b", path.read_text(encoding="utf-8")), path


def test_no_failure_raises_nothing() -> None:
    raise_all([], "several")
