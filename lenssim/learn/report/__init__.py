"""Reports of several runs: tables and the page."""
