"""Haloes: what cosmology says of their numbers, shapes and places, from linear theory to the numbers of a lens."""
