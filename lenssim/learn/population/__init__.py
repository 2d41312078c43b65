"""Inference of populations from many images."""
