"""Lima."""
