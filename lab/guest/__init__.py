"""The half that runs inside the machine: standard library only, Python >= 3.9 syntax, imports nothing of `lab` but this folder."""
