"""Read-only checks against a candidate or the public gateway, and the suites made of them."""
