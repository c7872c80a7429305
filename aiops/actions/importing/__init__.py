"""``aiops import --prove``: the old gateway and the new one side by side, and what differs between them."""
