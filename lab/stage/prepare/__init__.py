"""Before a show: rehearse it, and check that it can go on stage."""
