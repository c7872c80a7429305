"""The process that talks to the database of this host: keys for workers, usage out of the spools, the management API."""
