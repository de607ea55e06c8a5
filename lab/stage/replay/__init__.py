"""Recordings: found, played, and written as files."""
