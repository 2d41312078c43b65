"""Reports of recipes as tables and as an HTML page."""
