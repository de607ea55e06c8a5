"""Recordings: found, played, and written as files."""

from typing import Literal

Format = Literal["page", "svg", "png", "cast"]
"""What `lab export` writes."""
