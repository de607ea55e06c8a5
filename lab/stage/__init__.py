"""Empty: the place of a show on stage."""
