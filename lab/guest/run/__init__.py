"""A run inside the machine: lives, canaries, cells."""
