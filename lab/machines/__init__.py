"""Machines: images, providers, lifecycle, readiness."""
