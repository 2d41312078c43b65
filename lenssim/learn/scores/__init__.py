"""Scores of network outputs, with their uncertainties."""
