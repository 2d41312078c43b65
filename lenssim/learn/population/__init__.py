"""What many images have in common."""
