"""Write a summary as text for people and CI: `html`, `markdown` and `junit`."""

from lab.report.junit import junit
from lab.report.markdown import markdown
from lab.report.page import html

__all__ = ["html", "junit", "markdown"]
