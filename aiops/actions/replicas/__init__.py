"""What several gateways promise together, proved at the address of each: `aiops verify --suite distributed`."""
