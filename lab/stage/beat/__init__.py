"""What a beat has around it while it is played, and what is read from it."""
