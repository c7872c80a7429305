"""From one box to several gateways that share a Postgres and a Redis, and back."""
