"""The verbs of a show, and its views in this terminal."""
