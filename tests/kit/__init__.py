"""What the tests of several directories share: the gateway they drive, waiting, and the warm processes."""
