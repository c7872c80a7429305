"""Answers that are given again, in Redis."""
