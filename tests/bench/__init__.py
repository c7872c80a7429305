"""What ``scripts/bench`` measures: each promise as a number with its limit, ratios within one run."""
