"""A run on disk: its record, history and model card."""
