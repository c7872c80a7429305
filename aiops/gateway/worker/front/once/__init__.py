"""A request that is sent again with the same ``Idempotency-Key`` is answered with the first one's answer."""
