"""Images of telescopes with their noise maps, masks and PSFs, as people keep them on disk."""
