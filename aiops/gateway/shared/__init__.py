"""What the gateway and the rest of aiops say to each other; it imports nothing."""
