"""The types of desired state."""
