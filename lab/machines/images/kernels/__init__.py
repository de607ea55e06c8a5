"""Kernels: the distribution's, unpacked, and custom ones."""
