"""Reading data sets: where they lie, how their images are read, shuffled and streamed."""
