"""Answers that are given again to whoever asks the same with the same key."""
