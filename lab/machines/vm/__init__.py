"""lab's own virtual machines: QEMU's arguments, acceleration, console, heartbeat, boot files."""
