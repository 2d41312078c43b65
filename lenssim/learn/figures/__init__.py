"""Figures of scores, one module a kind of task."""
