"""Providers as units: install, start, stop, look, change places."""
