"""Runs: plan (pure), drive (start, follow, resume), fetch (verified), manifest."""
