"""What is on disk and how it streams: shards, plans, manifests, generation, conversion and torch data sets."""
