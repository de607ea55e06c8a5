"""A show on stage: the engine, its keys, its machines, its two views."""
