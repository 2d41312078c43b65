"""Where and in which arithmetic a training runs, and what it costs."""
