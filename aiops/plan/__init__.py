"""What a change would do: the semantic difference between two states, and its digest. Pure."""
