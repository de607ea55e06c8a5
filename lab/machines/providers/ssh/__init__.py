"""A machine that is somebody else's, over SSH."""
