"""Looks for a regular expression of a show file in what a beat printed, for a limited time.

Some expressions take longer than the universe is old on a line that does not match, and `re` lets nothing else of its
process go on meanwhile. So any that can repeat or choose is looked for by a process of its own, which can be ended.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from lab.model.errors import LabError
from lab.system import proc
from lab.system.wait import Deadline

LONGEST_S: float = 2.0  # a key that is pressed waits for it
STRAIGHT: Final = re.compile(r"[^*+?{|(]*")  # of an expression that takes one way through each text
SAYS_FOUND: Final = b"found"
LOOK: Final = """
import json, re, sys
pattern, texts = json.load(sys.stdin)
whole = "\\n".join(texts)
print("found" if any(re.search(pattern, text, re.MULTILINE) for text in (*texts, whole)) else "")
"""


def fault(pattern: str) -> str:
    """Why this is no regular expression; "" when it is one."""
    try:
        re.compile(pattern)
    except RecursionError:
        why = "its groups are nested too deeply"
    except (re.error, OverflowError) as error:
        why = str(error)
    else:
        return ""
    return f"not a regular expression: {why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What came of a search; "unknown": it did not come to its end. `why` it was not found; "" when it was."""

    word: Literal["found", "absent", "unknown"]
    why: str = ""


FOUND: Final = Looked(word="found")


def look(pattern: str, texts: Sequence[str]) -> Looked:
    """Look for the expression in each of the texts, and across them."""
    absent = Looked(word="absent", why=f"no line matches {pattern!r}")
    if STRAIGHT.fullmatch(pattern):
        there = any(re.search(pattern, text, re.MULTILINE) for text in (*texts, "\n".join(texts)))
        return FOUND if there else absent
    deadline = Deadline.after(LONGEST_S)
    try:
        looked = proc.run(
            (sys.executable, "-I", "-S", "-c", LOOK), deadline=deadline, stdin=json.dumps((pattern, texts)).encode()
        )
    except (LabError, OSError) as error:
        late = f"takes more than {LONGEST_S:g} s to look for in what was printed"
        return _unknown(pattern, late if deadline.passed() else f"could not be looked for: {error}")
    if not looked.ok:
        return _unknown(pattern, f"could not be looked for: {looked.tail().rpartition(chr(10))[2]}")
    return FOUND if looked.stdout.strip() == SAYS_FOUND else absent


def _unknown(pattern: str, why: str) -> Looked:
    return Looked(word="unknown", why=f"{pattern!r} {why}")
