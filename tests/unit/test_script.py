"""The end-to-end runner itself: it sees what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e import script


def outcome(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "s.txt"
    path.write_text(text)
    return list(script.run(path, home=tmp_path / "h", cwd=tmp_path))


def test_right_expectations_pass(tmp_path: Path) -> None:
    said = outcome(
        tmp_path, "# words\n$ sh -c 'echo out; echo err >&2; exit 3'\nexit 3\nstdout out\nstderr err\nstdout! err\n"
    )
    assert len(said) == 1
    assert outcome(tmp_path, '$ echo \'{"a": [{"b": true}]}\'\njson a.0.b true\nhas a.0\n')
    assert outcome(tmp_path, "$ sh -c 'lab --version'\nstdout lab\n")


@pytest.mark.parametrize(
    "text",
    [
        "$ false\n",
        "$ true\nexit 1\n",
        "$ echo a\nstdout b\n",
        "$ echo a\nstdout! a\n",
        "$ echo a\nstderr a\n",
        "$ echo '{}'\njson a 1\n",
        "$ echo '{\"a\": 2}'\njson a 1\n",
        "$ echo '{\"a\": []}'\nhas a\n",
        "$ echo '{}'\nhas a\n",
        "$ sleep 0.3\nwithin 0.1\n",
    ],
)
def test_wrong_ones_fail(tmp_path: Path, text: str) -> None:
    with pytest.raises(AssertionError, match=r"s\.txt:1"):
        outcome(tmp_path, text)


@pytest.mark.parametrize("text", ["stdout a\n", "$ true\nstdotu a\n"])
def test_a_typo_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="line"):
        script.parse(text)
