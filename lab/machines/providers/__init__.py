"""The table of providers; a new one is a new file and a new row."""
