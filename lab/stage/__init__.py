"""A show on stage: its file, its beats, its takes, and its two views."""
