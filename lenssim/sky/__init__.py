"""Measurements without a network: lenses modelled, objects found in wide fields, surveys forecast."""
