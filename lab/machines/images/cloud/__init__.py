"""Golden images from cloud images."""
