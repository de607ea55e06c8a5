"""Samples to effects to words, without any effect on the world: `summarize(run)` is the whole answer."""

from lab.verdict.grade import Grade, grade
from lab.verdict.summary import Summary, summarize

__all__ = ["Grade", "Summary", "grade", "summarize"]
