"""Objects of wide fields as a data set: background, detection, parts of one arc, stamps."""
