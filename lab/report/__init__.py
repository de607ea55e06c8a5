"""Write a summary as text for people, slides and CI: `html`, `markdown`, `junit`, `figures` and `verdicts`."""

from lab.report.export import figures, verdicts
from lab.report.junit import junit
from lab.report.markdown import markdown
from lab.report.page import html

__all__ = ["figures", "html", "junit", "markdown", "verdicts"]
