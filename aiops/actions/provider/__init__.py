"""Providers: add, remove, disable, enable; and as units: install, start, stop, look, change places."""
