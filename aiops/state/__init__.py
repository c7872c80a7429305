"""What outlives a request: keys, budgets and usage in a database, and counters that all workers share."""
