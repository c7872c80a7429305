"""One instance, as actions see it: its lock, its desired state, where its gateway is and who keeps it running."""
