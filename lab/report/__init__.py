"""A summary to what people and CI read: `html`, `markdown` and `junit`, pure text out."""

from lab.report.junit import junit
from lab.report.markdown import markdown
from lab.report.page import html

__all__ = ["html", "junit", "markdown"]
