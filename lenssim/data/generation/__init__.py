"""Making data sets: plans, shards, runners, failures and the data card."""
