"""What rehearsals left: results, takes, their inputs, and the last check."""
