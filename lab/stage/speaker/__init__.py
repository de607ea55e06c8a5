"""The speaker's terminal: what is on, what comes next, how the time is, and what to say when a value is off."""
