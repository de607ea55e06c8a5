"""From samples to effects to verdict words, without side effects; the entry point is `summarize(run)`."""

from lab.verdict.grade import grade
from lab.verdict.summary import summarize

__all__ = ["grade", "summarize"]
