"""Asking trained networks: evaluation, prediction and ensembles."""
