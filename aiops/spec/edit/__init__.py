"""Edits of the files that keep their comments."""
