"""Forms: the catalog, toolchains, builds, the artifact cache, and the proof that a form instruments."""
