"""Somebody else's configuration -> desired state, with an account of every key. Pure: bytes in, bytes out."""
