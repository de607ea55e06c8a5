"""Pure scoring, shared with the host: spans to trees, trees to counts, gates."""
