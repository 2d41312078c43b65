"""What a network is shown: descriptions of images, normalisation, augmentation, image files."""
