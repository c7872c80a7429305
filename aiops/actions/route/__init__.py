"""Where a request goes and why; another way of choosing."""
