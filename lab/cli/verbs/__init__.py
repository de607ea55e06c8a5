"""The verbs, one file each; related ones share a file."""
