"""Surveys on disk: catalogue, rates, completeness and page."""
