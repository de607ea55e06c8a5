"""Golden images: built once from Debian packages or a cloud image, sealed and cached."""
