"""The part of lab that runs inside the machine: imports only the standard library and itself, Python >= 3.9."""
