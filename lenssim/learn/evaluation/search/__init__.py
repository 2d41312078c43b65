"""The search of wide fields for lenses: scores, catalogue, and a page to look through."""
