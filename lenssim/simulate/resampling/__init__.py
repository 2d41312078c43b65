"""Noise that resampling correlated: in closed form, or as it was measured."""
