"""What several gateways promise together, asked at the address of each: reading what they answer, and judging it."""
