"""A borrowed machine, over SSH."""
