"""Who answers a request: rules, patterns, strategies. Workers run it."""
