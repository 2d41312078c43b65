"""The bytes on disk: shards, manifests, storage, and reading what strangers wrote."""
