"""The Python door: what `import lenssim` offers, each a counterpart of a command."""
