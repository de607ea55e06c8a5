"""Values against the rehearsals: which is off, and why."""
