"""Linux for the guest half: processes, control groups, mounts, files."""
