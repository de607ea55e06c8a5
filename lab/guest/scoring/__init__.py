"""Pure: spans to trees, trees to counts, gates; the host scores with the same code."""
