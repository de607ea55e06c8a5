"""What the guest half asks of Linux and does to it: processes, control groups, mounts, files."""
