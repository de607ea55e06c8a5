"""Benchmarks: figures beside their targets, measured on the real thing. They print ratios and never fail a test."""
