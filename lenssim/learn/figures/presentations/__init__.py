"""Words and pictures of a task, one task a file."""
