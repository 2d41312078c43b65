"""What is learned from the data: nets, tasks, training, evaluation, prediction and reports."""
