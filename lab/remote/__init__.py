"""Reaching a machine: one protocol, two transports (SSH and this host)."""
