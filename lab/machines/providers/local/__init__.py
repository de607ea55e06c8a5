"""This very Linux."""
