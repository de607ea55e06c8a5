"""Kernels: a distribution's, unpacked, and the user's own."""
