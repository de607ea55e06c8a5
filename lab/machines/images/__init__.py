"""Golden images: made once from Debian packages or a cloud image, sealed, found again."""
