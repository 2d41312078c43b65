"""Readers of file formats: one strict reader for each, which believes nothing that a file says of itself."""
