"""Numbers that judge answers, and how sure they are."""
