"""Devices, arithmetic and optimisers of a training, and its cost."""
