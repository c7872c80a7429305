"""Alembic's environment, and the history: a module for each step, numbered, for both dialects."""
