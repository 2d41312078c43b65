"""Inputs of networks: descriptions of images, normalisation, augmentation, image files."""
