"""Models of the lenses of a data set: their table, pictures, documents and page."""
