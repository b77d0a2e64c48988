"""The task queue: leased tasks, retries, dead letters."""
