"""Frozen values and pure functions; the lowest room but `guest.wire`."""
