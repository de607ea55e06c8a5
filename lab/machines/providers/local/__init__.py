"""This host as the machine."""
