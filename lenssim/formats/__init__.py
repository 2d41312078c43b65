"""The one strict reader of each file format that comes from elsewhere."""
