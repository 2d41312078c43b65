"""Progress of simulated samples on stderr: the display that the Python functions have too."""

from lenssim.api.progress import samples_bar

__all__ = ["samples_bar"]
