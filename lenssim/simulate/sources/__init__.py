"""What is lensed: the light profiles of sources."""
