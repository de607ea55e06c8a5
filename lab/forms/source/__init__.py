"""What a build reads of a stranger's source, as Go's own tools say."""
