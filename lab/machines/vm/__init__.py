"""Virtual machines of our own: QEMU's arguments, acceleration, console, heartbeat, what it boots from."""
