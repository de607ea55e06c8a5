"""Samples to effects to words, without any effect on the world: `summarize(run)` is the whole answer."""

from lab.verdict.grade import grade
from lab.verdict.summary import summarize

__all__ = ["grade", "summarize"]
