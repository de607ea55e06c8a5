"""Simulated sessions through the real verdict: how often it is wrong, and what a fixed order would make of nothing."""
