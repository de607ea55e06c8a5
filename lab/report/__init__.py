"""A summary as HTML, Markdown and JUnit: pure text."""
