"""The gateway as a service: start, stop, restart, look, prove."""
