"""Bridges: scenes in the terms of other codes, and back. `Scenes.to_<code>` are the doors."""
