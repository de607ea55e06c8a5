"""A show as data, and the reader of its file."""
