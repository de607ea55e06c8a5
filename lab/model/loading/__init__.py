"""Read YAML files into checked values: each mistake is one line with its place."""
