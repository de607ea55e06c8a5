"""The half that runs inside the machine: standard library only, Python >= 3.9, imports nothing of `lab` but itself."""
