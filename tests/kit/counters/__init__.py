"""What tests of counters share: a model in plain Python, a machine that plays it against the real ones, a clock."""
