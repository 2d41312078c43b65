"""Networks of detectors: how well images are explained by those that a detector has learned from."""
