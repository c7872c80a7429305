"""The gateway as a service: start, stop, restart, look, listen, prove."""
