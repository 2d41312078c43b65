"""What the sky looks like: presets, draws, scenes, engines and observation. Knows nothing of files or training."""
