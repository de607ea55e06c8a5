"""YAML files into checked values: one mistake is one line, with its place."""
