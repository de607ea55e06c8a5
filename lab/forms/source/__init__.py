"""The files of a service's source that a build reads, as listed by Go's own tools."""
