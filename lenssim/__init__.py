"""lenssim: dark-matter models to strong-lensing training data, and training data to answers."""

__all__ = ["__version__"]
__version__ = "0.1.0"
