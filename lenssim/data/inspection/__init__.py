"""Looking at data sets: verification, repacking, contact sheets."""
