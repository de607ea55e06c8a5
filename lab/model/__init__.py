"""Frozen values and pure functions; imports no other package of lab but `guest.wire`."""
