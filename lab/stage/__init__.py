"""The show: beats, rehearsal, takes."""
