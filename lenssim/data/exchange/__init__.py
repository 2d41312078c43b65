"""Other people's layouts, in and out."""
