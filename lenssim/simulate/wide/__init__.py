"""Wide fields: mosaics with galaxies, stars, and lenses at known places."""
